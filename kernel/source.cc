#include "reenact/kernel/source.h"

#include <utility>

namespace reenact {
namespace {

Digest ReadDigestOfSource(cbor::Reader& reader) {
  const absl::StatusOr<Digest> digest = Digest::FromBytes(reader.ByteString());
  if (digest.ok()) return *digest;
  if (reader.ok()) reader.Fail("a digest is not 32 bytes long");
  return Digest();
}

}  // namespace

absl::Status CheckSourceName(std::string_view name) {
  if (!name.empty() && name.size() <= kSourceNameBytesMax &&
      cbor::IsUtf8(name)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the name of a source is UTF-8 of 1 to " +
                                    std::to_string(kSourceNameBytesMax) +
                                    " bytes");
}

void EncodeSourceRead(std::string_view name, const SourceMark& mark,
                      cbor::Encoder& encoder) {
  encoder.Array(3);
  encoder.Text(name);
  encoder.Unsigned(mark.position);
  encoder.ByteString(mark.digest.view());
}

SourceRead DecodeSourceRead(cbor::Reader& reader) {
  SourceRead read;
  if (reader.Array() != 3 && reader.ok()) {
    reader.Fail("a source is [name, position, digest]");
  }
  read.name = std::string(reader.Text());
  if (reader.ok() && !CheckSourceName(read.name).ok()) {
    reader.Fail("the name of a source is empty or too long");
  }
  read.mark.position = reader.Unsigned();
  if (reader.ok() && read.mark.position == 0) {
    reader.Fail("rows of a source count from 1");
  }
  read.mark.digest = ReadDigestOfSource(reader);
  return read;
}

void EncodeSources(const SourceMarks& sources, cbor::Encoder& encoder) {
  encoder.Array(sources.size());
  for (const auto& [name, mark] : sources) {
    EncodeSourceRead(name, mark, encoder);
  }
}

SourceMarks DecodeSources(cbor::Reader& reader) {
  SourceMarks sources;
  const std::uint64_t count = reader.Array();
  if (reader.ok() && (count == 0 || count > kSourcesMax)) {
    reader.Fail(
        "a list of sources has 1 to 65536 items; omit the key if there is "
        "none");
  }
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    SourceRead read = DecodeSourceRead(reader);
    if (reader.ok() && !sources.empty() &&
        sources.rbegin()->first >= read.name) {
      reader.Fail("sources ascend by name");
    }
    sources.emplace_hint(sources.end(), std::move(read.name), read.mark);
  }
  return sources;
}

}  // namespace reenact
