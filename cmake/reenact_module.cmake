# reenact_module(NAME SOURCES a.cc ... [LIBS x y] [TEST]): reducers in a shared
# library NAME.so, which `reenact run --module NAME` loads.
#
# A project that found reenact gets it in its own binary directory. In reenact's
# own tree it goes where the command looks, build/PRESET/lib/reenact/, or with
# TEST to build/PRESET/tests/modules/, which nobody searches.

include_guard(GLOBAL)

function(reenact_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TEST" "" "SOURCES;LIBS")
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE reenact::reenact ${arg_LIBS})
  # A module needs of the library only what its reducers use.
  target_link_options(${name} PRIVATE LINKER:--as-needed)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so")
  if(TARGET reenact_flags)
    target_link_libraries(${name} PRIVATE reenact_flags)
    set(directory ${reenact_BINARY_DIR}/lib/reenact)
    if(arg_TEST)
      set(directory ${reenact_BINARY_DIR}/tests/modules)
    endif()
    set_target_properties(${name} PROPERTIES
                          LIBRARY_OUTPUT_DIRECTORY ${directory})
  endif()
endfunction()
