// How far a world has taken in the files and streams that it was fed.

#ifndef REENACT_KERNEL_SOURCE_H_
#define REENACT_KERNEL_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// The longest name of a source, and the most sources that a world remembers:
// each takes its place in every snapshot.
inline constexpr std::size_t kSourceNameBytesMax = 255;
inline constexpr std::size_t kSourcesMax = 65536;

struct SourceMark {
  std::uint64_t position = 0;  // of the last row taken in; 0: none was
  Digest digest;  // InputSource::digest() behind that row; zeros: not known

  friend bool operator==(const SourceMark&, const SourceMark&) = default;
};

// By name.
using SourceMarks = std::map<std::string, SourceMark, std::less<>>;

// How far one source was taken in, as a round records it.
struct SourceRead {
  std::string name;
  SourceMark mark;

  friend bool operator==(const SourceRead&, const SourceRead&) = default;
};

// OK if a source can be called `name`: UTF-8 of 1 to kSourceNameBytesMax bytes.
// InvalidArgument says what is wrong.
absl::Status CheckSourceName(std::string_view name);

// [name, position, digest]
void EncodeSourceRead(std::string_view name, const SourceMark& mark,
                      cbor::Encoder& encoder);
SourceRead DecodeSourceRead(cbor::Reader& reader);  // the reader has the errors

// An array of those, ascending by name, which is not empty.
void EncodeSources(const SourceMarks& sources, cbor::Encoder& encoder);
SourceMarks DecodeSources(cbor::Reader& reader);

}  // namespace reenact

#endif  // REENACT_KERNEL_SOURCE_H_
