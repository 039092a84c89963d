# Plants includes that tests/layering.cmake must refuse into a copy of the
# sources, one at a time, and checks that it names each:
#
#   cmake -DROOT=... -DWORK=... -P layering_selftest.cmake
cmake_minimum_required(VERSION 3.25)

set(folders base kernel journal sequencer workers committer world replay
    executors harness tools examples)
set(missed 0)

function(look result)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DROOT=${WORK} -P ${ROOT}/tests/layering.cmake
    RESULT_VARIABLE failed OUTPUT_VARIABLE out ERROR_VARIABLE out)
  set(${result} "${failed}" PARENT_SCOPE)
  set(out "${out}" PARENT_SCOPE)
endfunction()

# plant(file include words): with `include` on line 1 of `file`, the test says
# "file:1: includes" and `words`.
function(plant file include words)
  file(READ ${WORK}/${file} text)
  file(WRITE ${WORK}/${file} "#include ${include}\n${text}")
  look(failed)
  file(WRITE ${WORK}/${file} "${text}")
  if(failed EQUAL 0 OR NOT out MATCHES "${file}:1: includes [^\n]*${words}")
    message("missed: ${include} in ${file}\n${out}")
    math(EXPR missed "${missed} + 1")
    set(missed ${missed} PARENT_SCOPE)
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
foreach(folder IN LISTS folders)
  file(COPY ${ROOT}/${folder} DESTINATION ${WORK})
endforeach()
look(failed)
if(NOT failed EQUAL 0)
  message(FATAL_ERROR "the copy itself is refused:\n${out}")
endif()

# Arrows.
plant(kernel/cbor/cbor.cc "\"reenact/journal/entry.h\"" "does not see journal/")
plant(base/mutex.h "\"reenact/kernel/ids.h\"" "does not see kernel/")
plant(kernel/hash.cc "\"reenact/world/world.h\"" "does not see world/")
plant(world/world.cc "\"reenact/replay/run.h\"" "does not see replay/")
plant(world/world.h "\"reenact/workers/pool.h\"" "it is not installed")
plant(journal/block.cc "\"reenact/sequencer/sequencer.h\"" "not see sequencer/")
plant(sequencer/sequencer.cc "\"reenact/workers/pool.h\"" "not see workers/")
plant(sequencer/sequencer.cc "\"reenact/journal/store.h\"" "not see journal/")
plant(workers/window.cc "\"reenact/committer/ledger.h\"" "not see committer/")
plant(committer/committer.cc "\"reenact/world/world.h\"" "not see world/")
plant(kernel/hash.cc "\"tools/reenact/json.h\"" "does not see what is built")
plant(kernel/hash.cc "\"base/bytes.h\"" "spell it")
plant(journal/writer.cc "\"rocksdb/db.h\"" "only journal/rocksdb/")
plant(kernel/cbor/cbor.cc "<nlohmann/json.hpp>" "for the edges")
plant(kernel/cbor/cbor.cc "\"reenact/executors/params.h\"" "does not see executors/")
plant(world/world.cc "\"reenact/executors/params.h\"" "does not see executors/")
plant(executors/params.cc "\"reenact/journal/store.h\"" "public headers")
plant(executors/params.cc "\"reenact/world/forward.h\"" "public headers")
plant(executors/executor.h "\"reenact/executors/params.h\"" "it is not installed")
plant(executors/agenda.cc "<mutex>" "are values")
plant(executors/params.cc "<curl/curl.h>"
      "only the sources of http.request")
plant(world/world.h "\"reenact/base/mutex.h\"" "it is not installed")
plant(tools/reenact/digest.cc "\"reenact/workers/pool.h\"" "public headers")
plant(examples/counter/counter.cc "\"reenact/journal/store.h\"" "public headers")

# What would make bytes or decisions depend on a schedule, a clock or chance.
plant(committer/committer.cc "<thread>" "threads")
plant(sequencer/sequencer.cc "<atomic>" "threads")
plant(kernel/cbor/cbor.cc "<mutex>" "threads")
plant(kernel/config.cc "\"reenact/base/instrument.h\"" "threads")
plant(kernel/config.cc "<fstream>" "disks")
plant(sequencer/sequencer.cc "<chrono>" "clocks")
plant(committer/committer.cc "  <ctime>" "clocks")
plant(kernel/rng.cc "<random>" "random")
plant(workers/step_run.cc "\"absl/random/random.h\"" "random")
plant(journal/snapshot_file.cc "<chrono>" "clocks")
plant(sequencer/sequencer.h "<unordered_map>" "unordered")
plant(committer/committer.h "\"absl/container/flat_hash_set.h\"" "unordered")

file(REMOVE_RECURSE ${WORK})
if(missed)
  message(FATAL_ERROR "${missed} planted includes were missed")
endif()
