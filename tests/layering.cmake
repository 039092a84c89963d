# Who may include what: cmake -DROOT=... -P layering.cmake
#
#    kernel/{world,replay,...}, see `roots`         the only ones that see
#          │        │         │        │           everything
#    sequencer/  workers/  committer/ ─┴─▶ journal/
#          ▼        ▼         ▼              ▼
#                       kernel/
#
# Beside the arrows: threads, locks and atomics, clocks, the standard library's
# and Abseil's random numbers, and containers without an order are refused in
# these five folders, but for the exceptions below, each with its reason.
cmake_minimum_required(VERSION 3.25)

set(arrows_kernel kernel)
set(arrows_journal kernel journal)
set(arrows_sequencer kernel sequencer)
set(arrows_workers kernel workers)
set(arrows_committer kernel journal committer)
set(core kernel journal sequencer workers committer)
set(roots kernel/world.cc kernel/world_internal.h kernel/replay.cc
    kernel/forward.h kernel/forward.cc kernel/open_work.h kernel/open_work.cc
    kernel/recovery.h kernel/recovery.cc kernel/rollback.h
    kernel/rollback.cc kernel/step_entries.h
    kernel/step_entries.cc)
foreach(part blocks cells report run script segments slice writer)
  list(APPEND roots kernel/replay_${part}.h kernel/replay_${part}.cc)
endforeach()

# What is refused, by kind.
set(threads "^(thread|mutex|shared_mutex|condition_variable|atomic|future|semaphore|latch|barrier|stop_token|pthread\\.h|stdatomic\\.h|absl/synchronization/.*|reenact/kernel/mutex\\.h)$")
set(clocks "^(chrono|ctime|time\\.h|sys/time\\.h|absl/time/.*)$")
set(random "^(random|absl/random/.*)$")
set(unordered "^(unordered_map|unordered_set|absl/container/(flat|node)_hash_(map|set)\\.h|reenact/kernel/hash_table\\.h)$")
set(kinds threads clocks random unordered)
set(rocksdb "^rocksdb/")
set(edges "^(nlohmann|CLI|prometheus|benchmark|catch2|rapidcheck)/")

set(exceptions "")
macro(allow kind file reason)
  list(APPEND exceptions ${kind}:${file})
endmacro()

allow(threads kernel/mutex.h "is the one wrapper around std::mutex")
allow(threads kernel/futex.h "what waiters sleep on")
allow(threads kernel/instrument.h "where a harness takes the place of threads")
allow(threads kernel/module_call.h "watchers look at what threads run")
allow(threads kernel/step_guard.cc "whichever thread crashes names its step")
allow(threads kernel/submission.h "callers wait for what the world's thread does")
allow(threads kernel/world.cc "flags and counts that other threads read")
allow(threads kernel/replay_cells.h "any thread reads beside the writing one")
allow(threads kernel/replay_cuts.h "parts of a history beside each other")
allow(threads kernel/replay_segments.cc "parts of a history beside each other")
allow(threads kernel/replay_writer.h "any thread asks how far it has got")
allow(threads journal/block_stream.cc "reads and hashes ahead; leaves no trace")
allow(threads sequencer/ingress.h "the door for inputs from any thread")
allow(threads journal/writer.cc "the thread that writes and syncs")
allow(threads journal/rocksdb_files.cc "RocksDB calls it from its threads, too")
allow(threads journal/rocksdb_store.cc "any thread reads beside the writing one")
allow(threads journal/cell_layer.h "whoever scans first sorts for all")
allow(threads journal/memory_store.cc "any thread reads beside the writing one")
foreach(file background.h cells.h pool.cc slot.h step_run.h version.h window.h)
  allow(threads workers/${file} "threads live in workers/")
endforeach()
allow(clocks kernel/mutex.h "a wait with a timeout")
allow(clocks kernel/effects.h "a span until a deadline; no clock is asked")
allow(clocks kernel/world.cc "the machine's clock of worlds that ask for it")
allow(clocks kernel/instrument.h "the clock that a harness may replace")
allow(unordered kernel/hash_table.h "what the others below are made of")
allow(unordered kernel/world.cc "submissions by input; order is not recorded")
allow(unordered journal/cell_layer.h "cells by key; scans go by their order")
allow(unordered journal/stored_cells.h "cells by key; their users keep an order")
allow(unordered workers/cells.h "cells by key; scans sort what they find")
allow(unordered workers/step_run.h "indexes into vectors that have the order")

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
  string(REGEX MATCHALL "[a-z_]+\\.h" names "${CMAKE_MATCH_1}")
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
      if(name MATCHES "^reenact/([a-z]+)/" AND NOT file IN_LIST roots AND
         NOT CMAKE_MATCH_1 IN_LIST arrows_${folder})
        refuse(${file} ${name} "${folder}/ does not see ${CMAKE_MATCH_1}/")
      elseif(name MATCHES "^reenact/(executors|harness)/")
        refuse(${file} ${name} "the core does not see ${CMAKE_MATCH_1}/")
      elseif(name MATCHES "^(tools|examples|bench|tests|harness)/")
        refuse(${file} ${name} "the library does not see what is built on it")
      elseif(name MATCHES "^(kernel|journal|sequencer|workers|committer)/")
        refuse(${file} ${name} "spell it reenact/${name}")
      elseif(name MATCHES ${rocksdb} AND
             NOT file MATCHES "^journal/rocksdb_(store|files)[.]cc$")
        refuse(${file} ${name} "only journal/rocksdb_*.cc know RocksDB")
      elseif(name MATCHES ${edges})
        refuse(${file} ${name} "that library is for the edges")
      endif()
      foreach(kind IN LISTS kinds)
        if(name MATCHES ${${kind}} AND NOT ${kind}:${file} IN_LIST exceptions)
          refuse(${file} ${name} "${kind}: no exception for this file")
        endif()
      endforeach()
    endforeach()
  endforeach()
endforeach()

# The public headers are those that are installed; see kernel/CMakeLists.txt.
headers_of(kernel "HEADERS([^A-Z)]*)" world.h public)

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
set(executors_see reenact/kernel/mutex.h reenact/kernel/check.h
    reenact/journal/posix_file.h)
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
  "examples/bank/generate.cc:reenact/kernel/check.h")
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
              "^reenact/(journal/|kernel/check\\.h$)"))
        refuse(${file} ${name} "${folder}/ sees public headers")
      elseif(folder STREQUAL examples AND name MATCHES "^(tools|nlohmann)/")
        refuse(${file} ${name} "an example is what a user could write")
      endif()
    endforeach()
  endforeach()
endforeach()

# An exception that nobody needs any more is one that hides the next mistake.
foreach(exception IN LISTS exceptions)
  string(REGEX MATCH "^([a-z]+):(.*)$" ignored ${exception})
  set(kind ${CMAKE_MATCH_1})
  set(file ${CMAKE_MATCH_2})
  set(needed FALSE)
  if(EXISTS ${ROOT}/${file})
    includes_of(${file} names)
    foreach(name IN LISTS names)
      if(name MATCHES ${${kind}})
        set(needed TRUE)
      endif()
    endforeach()
  endif()
  if(NOT needed)
    message(STATUS "${file} has an exception for ${kind} that it does not need")
  endif()
endforeach()

if(problems)
  message(FATAL_ERROR "${problems} includes are refused")
endif()
