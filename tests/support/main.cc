#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

// RocksDB is not compiled with TSan, which then knows nothing of the order that
// its atomics make among its own threads.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:librocksdb\n";
}
