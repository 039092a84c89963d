// Digests: BLAKE2b-256 (RFC 7693, 32-byte output, no key), from libsodium.

#ifndef REENACT_KERNEL_HASH_H_
#define REENACT_KERNEL_HASH_H_

#include <array>
#include <compare>
#include <cstddef>
#include <string>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact {

inline constexpr std::size_t kDigestSize = 32;

struct Digest {
  std::array<unsigned char, kDigestSize> bytes{};

  BytesView view() const {
    return BytesView(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  // 64 lower-case hexadecimal digits.
  std::string ToHex() const;
  // InvalidArgument: `bytes` is not kDigestSize long.
  static absl::StatusOr<Digest> FromBytes(BytesView bytes);

  friend auto operator<=>(const Digest&, const Digest&) = default;
};

// BLAKE2b-256 of `bytes`.
Digest Hash(BytesView bytes);

// The same over bytes that arrive in parts.
//
// Thread safety: none. Copying a hasher copies what it has been given so far.
class Hasher {
 public:
  Hasher();
  // Starts from a domain: its length as one byte, then its bytes, so that
  // digests made for one purpose cannot stand for another.
  explicit Hasher(std::string_view domain);

  Hasher& Add(BytesView bytes);
  // A length-prefixed string: 8 bytes, big-endian, then the bytes.
  Hasher& AddSized(BytesView bytes);
  Hasher& AddU64(std::uint64_t value);  // 8 bytes, big-endian

  // The digest of what was added. The hasher is spent afterwards.
  Digest Finish();

 private:
  alignas(64) std::array<unsigned char, 384> state_;
};

// Bytes that nobody can foresee, from the machine. Nothing that is recorded may
// come of them but the id that a world gets when it is made.
Bytes RandomBytes(std::size_t size);

// Lower-case hexadecimal digits of `bytes`, and back. InvalidArgument: an odd
// number of digits, or something that is none.
std::string ToHex(BytesView bytes);
absl::StatusOr<Bytes> FromHex(std::string_view hex);

}  // namespace reenact

#endif  // REENACT_KERNEL_HASH_H_
