# Run by `cmake --install`: moves the debug information of what was installed to
# .debug/ beside it, where gdb looks for it, and drops that of archives.

foreach(installed IN LISTS CMAKE_INSTALL_MANIFEST_FILES)
  set(file $ENV{DESTDIR}${installed})
  cmake_path(GET file PARENT_PATH folder)
  cmake_path(GET file FILENAME name)
  if(name MATCHES "^libreenact.*[.]a$")
    execute_process(COMMAND ${REENACT_OBJCOPY} --strip-debug ${file}
                    COMMAND_ERROR_IS_FATAL ANY)
  elseif(folder MATCHES "/${REENACT_BINDIR}$" OR name MATCHES "[.]so$")
    set(debug ${folder}/.debug/${name}.debug)
    file(MAKE_DIRECTORY ${folder}/.debug)
    execute_process(
      COMMAND ${REENACT_OBJCOPY} --only-keep-debug ${file} ${debug}
      COMMAND_ERROR_IS_FATAL ANY)
    execute_process(
      COMMAND ${REENACT_OBJCOPY} --strip-unneeded --add-gnu-debuglink=${debug}
              ${file}
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
