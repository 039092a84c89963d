#include "reenact/journal/rocksdb/manifest_tail.h"

#include <string_view>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/hash.h"

namespace reenact {
namespace {

constexpr std::string_view kMagic = "reenact.manifest.v1";

}  // namespace

Bytes EncodeManifestTail(const ManifestTail& tail) {
  Bytes stored;
  stored.reserve(tail.bytes.size() + 96);
  cbor::Encoder encoder(&stored);
  encoder.Array(4);
  encoder.Text(kMagic);
  encoder.Text(tail.manifest);
  encoder.Unsigned(tail.offset);
  encoder.ByteString(tail.bytes);
  const Digest digest = Hasher(kMagic).Add(stored).Finish();
  stored.append(digest.view());
  return stored;
}

std::optional<ManifestTail> DecodeManifestTail(BytesView stored) {
  ManifestTail tail;
  cbor::Reader reader(stored);
  reader.ExpectArray(4);
  if (reader.Text() != kMagic) return std::nullopt;
  tail.manifest = reader.Text();
  tail.offset = reader.Unsigned();
  tail.bytes = reader.ByteString();
  if (!reader.ok()) return std::nullopt;
  const Digest digest = Hasher(kMagic).Add(reader.Since(0)).Finish();
  if (!reader.Rest().starts_with(digest.view())) return std::nullopt;
  return tail;
}

bool IsTorn(const ManifestTail& tail, std::uint64_t size, BytesView there) {
  return size >= tail.offset && size - tail.offset <= tail.bytes.size() &&
         there != tail.bytes;
}

}  // namespace reenact
