#include "tests/support/run_tests.h"

// RocksDB and Abseil are not compiled with TSan, which then knows nothing of
// the order that their atomics make: of RocksDB's among its own threads, and of
// the count of a status's holders where one of them lets go inside Abseil.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb\nrace:absl/status/status.h\n";
}

int main(int argc, char** argv) { return reenact::RunTests(argc, argv); }
