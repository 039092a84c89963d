# What `cmake --install` puts where:
#
#   include/reenact/...        the public headers
#   lib/libreenact.a           the library
#   lib/libreenact_executors.a what carries out effects: reenact::executors
#   lib/libreenact_harness.a   schedules and faults: reenact::harness, with the
#                              kernel that has its points, which a program links
#                              instead of the other one
#   lib/cmake/reenact/         what find_package(reenact) reads
#   lib/reenact/NAME.so        the example modules, found by --module NAME
#   .debug/NAME.debug          beside the command and the modules: what gdb wants
#   bin/reenact                the command; listed in tools/CMakeLists.txt
#   share/doc/reenact/         the documents

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reenact)

install(TARGETS reenact reenact_executors EXPORT reenactTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(REENACT_BUILD_HARNESS)
  set(harness reenact_harness)
  if(NOT REENACT_INSTRUMENT)
    list(APPEND harness reenact_instrumented)
  endif()
  install(TARGETS ${harness} EXPORT reenactTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
install(EXPORT reenactTargets NAMESPACE reenact:: DESTINATION ${package_dir})

configure_package_config_file(cmake/reenactConfig.cmake.in
  ${PROJECT_BINARY_DIR}/reenactConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break what is built against the one before.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/reenactConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/reenactConfig.cmake
  ${PROJECT_BINARY_DIR}/reenactConfigVersion.cmake
  cmake/Findsodium.cmake
  cmake/reenact_module.cmake
  DESTINATION ${package_dir})

if(REENACT_BUILD_TOOLS)
  install(TARGETS counter bank cases packages fetch saga build
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/reenact)
endif()

install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY spec DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Last, when all is there: debug information is most of what there is.
if(CMAKE_OBJCOPY)
  install(CODE "set(REENACT_OBJCOPY \"${CMAKE_OBJCOPY}\")
set(REENACT_BINDIR \"${CMAKE_INSTALL_BINDIR}\")")
  install(SCRIPT cmake/split_debug.cmake)
endif()
