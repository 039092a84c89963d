// The recorded answer to an effect.

#ifndef REENACT_KERNEL_EFFECTS_RECEIPT_H_
#define REENACT_KERNEL_EFFECTS_RECEIPT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// How an effect ended. Numbers are part of the format.
enum class ReceiptStatus : std::uint8_t {
  kOk = 0,
  kError = 1,      // it was refused, or failed in a way that is known
  kTimeout = 2,    // nobody knows whether it was done, or how far
  kDenied = 3,     // it was not let out
  kCancelled = 4,  // it was taken back; what had begun may have been done
};
inline constexpr std::size_t kReceiptStatuses = 5;
// How many effects ended how, by ReceiptStatus.
using EffectsEnded = std::array<std::uint64_t, kReceiptStatuses>;
std::string_view ReceiptStatusName(ReceiptStatus status);  // "ok"

// Something that can be checked later: a file or an output, by digest.
struct Evidence {
  std::string name;  // "stdout", "out/app.o"
  Digest digest;     // BLAKE2b-256 of its bytes
  std::uint64_t size = 0;

  friend bool operator==(const Evidence&, const Evidence&) = default;
};

struct Receipt {
  Digest intent_hash;
  ReceiptStatus status = ReceiptStatus::kOk;
  // One canonical CBOR item of at most kPayloadDepthMax levels; empty: there is
  // none.
  Bytes payload;
  Amounts usage;                   // what it did cost
  std::string executor;            // who did it; UTF-8, at most 64 bytes
  std::uint64_t lease_epoch = 0;   // of the lease it was done under; 0: none
  std::vector<Evidence> evidence;  // at most kEvidenceMax
  // Ed25519 (RFC 8032) over SignedBytes(); empty or 64 bytes.
  Bytes signature;

  // The answer to the cell has it inside, and is an item itself.
  static constexpr std::size_t kPayloadDepthMax = cbor::kDepthMax - 1;
  static constexpr std::size_t kEvidenceMax = 256;
  static constexpr std::size_t kEvidenceNameBytesMax = 1024;
  static constexpr std::size_t kExecutorBytesMax = 64;
  static constexpr std::size_t kSignatureBytes = 64;

  friend bool operator==(const Receipt&, const Receipt&) = default;
};

// One CBOR map, keys in spec/effects.md; what an executor sends.
void EncodeReceipt(const Receipt& receipt, cbor::Encoder& encoder);
// Exactly one receipt. The payload is checked last, and not at all if anything
// else is wrong. InvalidArgument: what is wrong, and where.
absl::StatusOr<Receipt> DecodeReceipt(BytesView item);

// The same in two parts, for a door that asks who signed before it looks at
// what is signed: everything but the payload, which is taken as it stands; and
// then whether that is one canonical item, or empty.
absl::StatusOr<Receipt> DecodeReceiptUnread(BytesView item);
absl::Status CheckPayload(const Receipt& receipt);

// What a signature covers: the domain "reenact.receipt.v1", the world's id, and
// the receipt's encoding without its signature, hashed.
Digest SignedDigest(BytesView world_id, const Receipt& receipt);

using PublicKey = std::array<unsigned char, 32>;
using SecretKey = std::array<unsigned char, 64>;

// An Ed25519 key pair from the 32 bytes that RFC 8032 calls the private key.
using SigningSeed = std::array<unsigned char, 32>;
SecretKey SecretKeyOf(const SigningSeed& seed);
PublicKey PublicKeyOf(const SecretKey& key);

// Sets `receipt.signature`.
void SignReceipt(BytesView world_id, const SecretKey& key, Receipt* receipt);
// Whether it is signed, by the holder of `key`, for this world.
bool IsSignedBy(BytesView world_id, const PublicKey& key,
                const Receipt& receipt);

}  // namespace reenact

#endif  // REENACT_KERNEL_EFFECTS_RECEIPT_H_
