# Tests of the project as a whole. What they find does not depend on how the
# library was instrumented, so they run without sanitizers only.

# reenact_skipped_test(NAME REASON): a line in ctest's summary.
function(reenact_skipped_test name reason)
  add_test(NAME "${name}" COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${reason}")
  set_tests_properties("${name}" PROPERTIES
                       SKIP_REGULAR_EXPRESSION "^skipped: ")
endfunction()

if(REENACT_SANITIZE)
  reenact_skipped_test("project: all"
    "includes, misuses, installation, documents and model are looked at \
without sanitizers, which do not change what is found")
  return()
endif()

add_test(NAME "project: includes go along the arrows"
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR}
          -P ${CMAKE_CURRENT_LIST_DIR}/layering.cmake)
add_test(NAME "project: an include against the arrows is found"
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR}
          -DWORK=${CMAKE_CURRENT_BINARY_DIR}/layering
          -P ${CMAKE_CURRENT_LIST_DIR}/layering_selftest.cmake)

add_subdirectory(compile_fail)

if(PROJECT_IS_TOP_LEVEL)
  add_test(NAME "project: public headers stand alone"
    COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR}
            --target all_verify_interface_header_sets)
  set_tests_properties("project: public headers stand alone" PROPERTIES
    RUN_SERIAL ON TIMEOUT 600)
endif()

# Somebody else's project, against an installation.
if(REENACT_INSTALL AND REENACT_BUILD_TOOLS)
  set(installed ${CMAKE_CURRENT_BINARY_DIR}/installed)
  add_test(NAME "consumer: an installation"
    COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR}
            --prefix ${installed})
  set_tests_properties("consumer: an installation" PROPERTIES
    FIXTURES_SETUP installation)
  add_test(NAME "consumer: a project finds it, builds, and runs a world"
    COMMAND ${CMAKE_CTEST_COMMAND}
      --build-and-test ${CMAKE_CURRENT_LIST_DIR}/consumer
                       ${CMAKE_CURRENT_BINARY_DIR}/consumer
      --build-generator ${CMAKE_GENERATOR}
      --build-options -DCMAKE_PREFIX_PATH=${installed}
                      -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
                      -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}
      --test-command consumer)
  add_test(NAME "consumer: the command finds its modules where it is installed"
    COMMAND ${CMAKE_COMMAND} -DPREFIX=${installed}
            -DWORK=${CMAKE_CURRENT_BINARY_DIR}/installed_run
            -P ${CMAKE_CURRENT_LIST_DIR}/consumer/command.cmake)
  set_tests_properties(
    "consumer: a project finds it, builds, and runs a world"
    "consumer: the command finds its modules where it is installed" PROPERTIES
    FIXTURES_REQUIRED installation TIMEOUT 300)
endif()

find_program(SPIN spin)
if(SPIN)
  add_test(NAME "project: the model of ticketed commit holds"
    COMMAND ${PROJECT_SOURCE_DIR}/tools/model --no-install)
  set_tests_properties("project: the model of ticketed commit holds"
    PROPERTIES TIMEOUT 900)
else()
  reenact_skipped_test("project: the model of ticketed commit holds"
                       "there is no spin")
endif()

find_program(PYTHON3_SYSTEM python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(NOT PYTHON3_SYSTEM)
  reenact_skipped_test("readme: what it says is so" "there is no python3")
  reenact_skipped_test("documents: what they name exists" "there is no python3")
  reenact_skipped_test("documents: a wrong name is found" "there is no python3")
  reenact_skipped_test("documents: the picture is that of the includes"
                       "there is no python3")
else()
  set(documents ${CMAKE_CURRENT_LIST_DIR}/documents.py)
  add_test(NAME "documents: what they name exists"
    COMMAND ${PYTHON3_SYSTEM} ${documents} ${PROJECT_SOURCE_DIR})
  add_test(NAME "documents: a wrong name is found"
    COMMAND ${PYTHON3_SYSTEM} ${documents} --self-test ${PROJECT_SOURCE_DIR})
  add_test(NAME "documents: the picture is that of the includes"
    COMMAND ${PROJECT_SOURCE_DIR}/tools/architecture --check)
endif()
if(PYTHON3_SYSTEM AND REENACT_BUILD_TOOLS)
  add_test(NAME "readme: what it says is so"
    COMMAND ${PYTHON3_SYSTEM} ${CMAKE_CURRENT_LIST_DIR}/readme.py
            ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/bin
            ${CMAKE_CURRENT_BINARY_DIR}/readme)
  set_tests_properties("readme: what it says is so" PROPERTIES TIMEOUT 300)
endif()
