# Runs the installed command with an installed module:
#
#   cmake -DPREFIX=... -DWORK=... -P command.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/clicks.jsonl
     "{\"counter\": \"home\"}\n{\"counter\": \"home\", \"add\": 4}\n")
foreach(arguments IN ITEMS "run;--module;counter;--world;w;--events;clicks.jsonl"
                           "verify;w;--module;counter"
                           "state;--json;w;counter;home")
  execute_process(COMMAND ${PREFIX}/bin/reenact ${arguments}
    WORKING_DIRECTORY ${WORK} OUTPUT_VARIABLE out
    COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(REMOVE_RECURSE ${WORK})
if(NOT out MATCHES "5")
  message(FATAL_ERROR "the count should be 5: ${out}")
endif()
