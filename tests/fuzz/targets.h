// What every fuzzer does with an input: it decodes bytes that somebody else
// wrote, and holds what comes of it against what the decoder promises. A
// promise that is broken ends the process (base/check.h).
//
// Each is one function, so that a fuzzer under clang and an ordinary test feed
// the same thing: libfuzzer.cc and fuzz_test.cc.
//
// Thread safety: one call at a time.

#ifndef REENACT_TESTS_FUZZ_TARGETS_H_
#define REENACT_TESTS_FUZZ_TARGETS_H_

#include <cstddef>
#include <cstdint>

extern "C" {

// Each returns 0.
int CborFuzzOneInput(const std::uint8_t* data, std::size_t size);
int FrameFuzzOneInput(const std::uint8_t* data, std::size_t size);
int JournalFuzzOneInput(const std::uint8_t* data, std::size_t size);
int SnapshotFuzzOneInput(const std::uint8_t* data, std::size_t size);
int ReceiptFuzzOneInput(const std::uint8_t* data, std::size_t size);
int RowsFuzzOneInput(const std::uint8_t* data, std::size_t size);

}  // extern "C"

#endif  // REENACT_TESTS_FUZZ_TARGETS_H_
