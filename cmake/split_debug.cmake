# Run by `cmake --install`: moves the debug information of what was installed to
# lib/debug/, where debuggers look for it by a link in the file, and drops that of
# archives.

set(prefix $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX})
file(GLOB programs ${prefix}/${REENACT_BINDIR}/reenact*
     ${prefix}/${REENACT_LIBDIR}/reenact/*.so)
foreach(program IN LISTS programs)
  file(RELATIVE_PATH name ${prefix} ${program})
  set(debug ${prefix}/${REENACT_LIBDIR}/debug/${name}.debug)
  cmake_path(GET debug PARENT_PATH folder)
  file(MAKE_DIRECTORY ${folder})
  execute_process(
    COMMAND ${REENACT_OBJCOPY} --only-keep-debug ${program} ${debug}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND ${REENACT_OBJCOPY} --strip-unneeded --add-gnu-debuglink=${debug}
            ${program}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(GLOB archives ${prefix}/${REENACT_LIBDIR}/libreenact*.a)
foreach(archive IN LISTS archives)
  execute_process(COMMAND ${REENACT_OBJCOPY} --strip-debug ${archive}
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
