// libFuzzer's entry: REENACT_FUZZ_TARGET is the function of one target.

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  return REENACT_FUZZ_TARGET(data, size);
}
