# Who may include what: cmake -DROOT=... -P layering.cmake
#
# The folder is the floor. An include points to its own folder or to a lower one:
#
#    world/ replay/       the world, and what proves one; replay sees world
#    committer/           history: what a step's result becomes
#    workers/             steps, on threads
#    sequencer/ journal/  order; blocks and stores. Neither sees the other
#    kernel/              values and rules
#    base/                the machine: locks, threads, clocks, files
#
# What a folder may take of the machine is a property of the folder, too: no file
# has an exemption.
cmake_minimum_required(VERSION 3.25)

set(core base kernel journal sequencer workers committer world replay)
set(sees_base base)
set(sees_kernel base kernel)
set(sees_journal base kernel journal)
set(sees_sequencer base kernel sequencer)
set(sees_workers base kernel journal sequencer workers)
set(sees_committer ${sees_workers} committer)
set(sees_world ${sees_committer} world)
set(sees_replay ${sees_world} replay)

# What is of the machine, by kind, and the folders that have it. The library's
# random numbers are nobody's. Containers without an order are where cells and
# submissions are looked up; what is recorded goes by an order beside them.
set(threads "^(thread|mutex|shared_mutex|condition_variable|atomic|future|semaphore|latch|barrier|stop_token|pthread\\.h|stdatomic\\.h|absl/synchronization/.*|reenact/base/(background|futex|instrument|mutex)\\.h)$")
set(clocks "^(chrono|ctime|time\\.h|sys/time\\.h|absl/time/.*)$")
set(disks "^(fstream|filesystem|cstdio|fcntl\\.h|dirent\\.h|dlfcn\\.h|sys/(file|stat|statvfs)\\.h|reenact/base/(disk_watch|posix_file)\\.h)$")
set(random "^(random|absl/random/.*)$")
set(unordered "^(unordered_map|unordered_set|absl/container/(flat|node)_hash_(map|set)\\.h|reenact/base/hash_table\\.h)$")
set(kinds threads clocks disks random unordered)
set(has_base threads clocks disks unordered)
set(has_kernel "")
set(has_sequencer "")
set(has_journal threads disks unordered)
set(has_workers threads unordered)
set(has_committer "")
set(has_world threads clocks disks unordered)
set(has_replay threads disks)
set(rocksdb "^rocksdb/")
set(edges "^(nlohmann|CLI|prometheus|benchmark|catch2|rapidcheck)/")

set(problems 0)

# Names file and line of an include that is refused.
function(refuse file name why)
  file(READ ${ROOT}/${file} text)
  string(FIND "${text}" "${name}" at)
  string(SUBSTRING "${text}" 0 ${at} before)
  string(REGEX MATCHALL "\n" lines "${before}")
  list(LENGTH lines line)
  math(EXPR line "${line} + 1")
  message("${file}:${line}: includes ${name}: ${why}")
  math(EXPR problems "${problems} + 1")
  set(problems ${problems} PARENT_SCOPE)
endfunction()

# The names that `file` includes.
function(includes_of file result)
  file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
  set(names "")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^<\"]*[<\"]([^>\"]*)[>\"].*$" "\\1" name "${line}")
    list(APPEND names ${name})
  endforeach()
  set(${result} ${names} PARENT_SCOPE)
endfunction()

# The installed headers of `folder`: those in the part of its CMakeLists.txt that
# `pattern` takes out, `one` among them.
function(headers_of folder pattern one result)
  file(READ ${ROOT}/${folder}/CMakeLists.txt listing)
  string(REGEX MATCH "${pattern}" ignored "${listing}")
  string(REGEX MATCHALL "[a-z_/]+\\.h" names "${CMAKE_MATCH_1}")
  list(TRANSFORM names PREPEND reenact/${folder}/)
  if(NOT reenact/${folder}/${one} IN_LIST names)
    message(FATAL_ERROR "${folder}/CMakeLists.txt lists no public headers")
  endif()
  set(${result} ${names} PARENT_SCOPE)
endfunction()

function(files_of folder result)
  file(GLOB_RECURSE files RELATIVE ${ROOT}
       ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cc)
  list(SORT files)
  set(${result} ${files} PARENT_SCOPE)
endfunction()

foreach(folder IN LISTS core)
  files_of(${folder} files)
  if(NOT files)
    message(FATAL_ERROR "${ROOT}/${folder} has no sources")
  endif()
  foreach(file IN LISTS files)
    includes_of(${file} names)
    foreach(name IN LISTS names)
      if(name MATCHES "^reenact/(executors|harness)/")
        refuse(${file} ${name} "the core does not see ${CMAKE_MATCH_1}/")
      elseif(name MATCHES "^reenact/([a-z]+)/" AND
             NOT CMAKE_MATCH_1 IN_LIST sees_${folder})
        refuse(${file} ${name} "${folder}/ does not see ${CMAKE_MATCH_1}/")
      elseif(name MATCHES "^(tools|examples|bench|tests|harness)/")
        refuse(${file} ${name} "the library does not see what is built on it")
      elseif(name MATCHES "^(base|kernel|journal|sequencer|workers|committer|world|replay)/")
        refuse(${file} ${name} "spell it reenact/${name}")
      elseif(name MATCHES ${rocksdb} AND NOT file MATCHES "^journal/rocksdb/")
        refuse(${file} ${name} "only journal/rocksdb/ knows RocksDB")
      elseif(name MATCHES ${edges})
        refuse(${file} ${name} "that library is for the edges")
      endif()
      foreach(kind IN LISTS kinds)
        if(name MATCHES ${${kind}} AND NOT kind IN_LIST has_${folder})
          refuse(${file} ${name} "${folder}/ has no ${kind}")
        endif()
      endforeach()
    endforeach()
  endforeach()
endforeach()

# The public headers are those that are installed: HEADERS in CMakeLists.txt.
set(public "")
foreach(one IN ITEMS base/status.h kernel/reducer.h workers/module_call.h
        world/world.h replay/replay.h)
  string(REGEX MATCH "^([a-z]+)/(.*)$" ignored ${one})
  headers_of(${CMAKE_MATCH_1} "HEADERS([^A-Z)]*)" ${CMAKE_MATCH_2} headers)
  list(APPEND public ${headers})
endforeach()

# An installed header that includes one that is not would fail far away.
foreach(header IN LISTS public)
  string(REGEX REPLACE "^reenact/" "" file ${header})
  includes_of(${file} names)
  foreach(name IN LISTS names)
    if(name MATCHES "^reenact/" AND NOT name IN_LIST public)
      refuse(${file} ${name} "it is not installed, and ${file} is")
    endif()
  endforeach()
endforeach()

# Executors stand beside the core: they see what anybody sees, and a lock, a check
# and how a file is written. Decisions have no threads of their own.
headers_of(executors "set\\(headers([^)]*)" executor.h installed)
set(executors_see reenact/base/mutex.h reenact/base/check.h
    reenact/base/posix_file.h)
files_of(executors files)
foreach(file IN LISTS files)
  includes_of(${file} names)
  foreach(name IN LISTS names)
    if(name MATCHES "^reenact/harness/")
      refuse(${file} ${name} "executors/ does not see harness/")
    elseif(name MATCHES "^reenact/" AND NOT name MATCHES "^reenact/executors/" AND
       NOT name IN_LIST public AND NOT name IN_LIST executors_see)
      refuse(${file} ${name} "executors/ sees public headers")
    elseif(name MATCHES "^reenact/" AND reenact/${file} IN_LIST installed AND
           NOT name IN_LIST public AND NOT name IN_LIST installed)
      refuse(${file} ${name} "it is not installed, and ${file} is")
    elseif(name MATCHES "^(tools|examples|bench|tests|harness)/")
      refuse(${file} ${name} "the library does not see what is built on it")
    elseif(name MATCHES "^curl/" AND NOT file MATCHES
           "^executors/(http_(executor|url)|retry_after)\\.cc$")
      refuse(${file} ${name} "only the sources of http.request know libcurl")
    elseif(file MATCHES "^executors/(agenda|frames|retry)\\." AND
           name MATCHES ${threads})
      refuse(${file} ${name} "decisions, frames and waits are values")
    endif()
  endforeach()
endforeach()

# The harness takes hold of the whole core, and of nothing beside it. What it
# installs is what anybody sees.
headers_of(harness "set\\(headers([^)]*)" scenario.h harness_installed)
files_of(harness files)
foreach(file IN LISTS files)
  includes_of(${file} names)
  foreach(name IN LISTS names)
    if(name MATCHES "^reenact/executors/")
      refuse(${file} ${name} "harness/ does not see executors/")
    elseif(name MATCHES "^reenact/" AND
           reenact/${file} IN_LIST harness_installed AND
           NOT name IN_LIST public AND NOT name IN_LIST harness_installed)
      refuse(${file} ${name} "it is not installed, and ${file} is")
    elseif(name MATCHES "^(tools|examples|bench|tests)/")
      refuse(${file} ${name} "the library does not see what is built on it")
    endif()
  endforeach()
endforeach()

# The command reads journals; examples are what users write, but for these.
set(example_exceptions
  # A tool that ships with its example: reads a world without running it.
  "examples/packages/packages_check.cc:reenact/journal/archive.h"
  # A generator of workloads, for benchmarks and tests.
  "examples/bank/generate.cc:reenact/base/check.h")
foreach(folder tools examples)
  files_of(${folder} files)
  foreach(file IN LISTS files)
    includes_of(${file} names)
    foreach(name IN LISTS names)
      if("${file}:${name}" IN_LIST example_exceptions)
        continue()
      elseif(file MATCHES "^tools/reenact_fuzz/" AND
             name STREQUAL "reenact/harness/program.h")
        continue()   # the command line of all harness programs
      elseif(file STREQUAL "tools/reenact/other_process.cc" AND
             name STREQUAL "reenact/harness/other_environment.h")
        continue()   # one notion of another process
      elseif(name MATCHES "^reenact/" AND
         NOT name IN_LIST public AND NOT name IN_LIST installed AND
         NOT name IN_LIST harness_installed AND
         NOT (folder STREQUAL tools AND name MATCHES
              "^reenact/(journal/|base/check\\.h$)"))
        refuse(${file} ${name} "${folder}/ sees public headers")
      elseif(folder STREQUAL examples AND name MATCHES "^(tools|nlohmann)/")
        refuse(${file} ${name} "an example is what a user could write")
      endif()
    endforeach()
  endforeach()
endforeach()

if(problems)
  message(FATAL_ERROR "${problems} includes are refused")
endif()
