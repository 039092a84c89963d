#include "reenact/kernel/hash.h"

#include <sodium.h>

#include <algorithm>

#include "reenact/base/check.h"

namespace reenact {
namespace {

static_assert(sizeof(crypto_generichash_state) <= 384);
static_assert(alignof(crypto_generichash_state) <= 64);

// Lets libsodium choose its implementation for this processor, once.
void InitSodium() {
  static const bool ready = sodium_init() >= 0;
  REENACT_CHECK(ready);
}

crypto_generichash_state* State(std::array<unsigned char, 384>& bytes) {
  return reinterpret_cast<crypto_generichash_state*>(bytes.data());
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string Digest::ToHex() const { return reenact::ToHex(view()); }

absl::StatusOr<Digest> Digest::FromBytes(BytesView bytes) {
  if (bytes.size() != kDigestSize) {
    return absl::InvalidArgumentError("a digest of " +
                                      std::to_string(bytes.size()) +
                                      " bytes where 32 are expected");
  }
  Digest digest;
  std::copy_n(UnsignedData(bytes), kDigestSize, digest.bytes.begin());
  return digest;
}

Digest Hash(BytesView bytes) {
  InitSodium();
  Digest digest;
  const int failed =
      crypto_generichash(digest.bytes.data(), digest.bytes.size(),
                         UnsignedData(bytes), bytes.size(), nullptr, 0);
  REENACT_CHECK(!failed);
  return digest;
}

Hasher::Hasher() {
  InitSodium();
  const int failed =
      crypto_generichash_init(State(state_), nullptr, 0, kDigestSize);
  REENACT_CHECK(!failed);
}

Hasher::Hasher(std::string_view domain) : Hasher() {
  REENACT_CHECK(domain.size() <= 255);
  const char size = static_cast<char>(domain.size());
  Add(BytesView(&size, 1));
  Add(domain);
}

Hasher& Hasher::Add(BytesView bytes) {
  const int failed = crypto_generichash_update(
      State(state_), UnsignedData(bytes), bytes.size());
  REENACT_CHECK(!failed);
  return *this;
}

Hasher& Hasher::AddSized(BytesView bytes) {
  AddU64(bytes.size());
  return Add(bytes);
}

Hasher& Hasher::AddU64(std::uint64_t value) {
  char bytes[8];
  for (int i = 7; i >= 0; --i) {
    bytes[i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return Add(BytesView(bytes, sizeof bytes));
}

Digest Hasher::Finish() {
  Digest digest;
  const int failed = crypto_generichash_final(
      State(state_), digest.bytes.data(), digest.bytes.size());
  REENACT_CHECK(!failed);
  return digest;
}

Bytes RandomBytes(std::size_t size) {
  InitSodium();
  Bytes bytes(size, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

std::string ToHex(BytesView bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 0xf]);
  }
  return hex;
}

absl::StatusOr<Bytes> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) {
    return absl::InvalidArgumentError("an odd number of hexadecimal digits");
  }
  Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = HexDigit(hex[i]);
    const int low = HexDigit(hex[i + 1]);
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(
          "something other than a hexadecimal digit near character " +
          std::to_string(i));
    }
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

}  // namespace reenact
