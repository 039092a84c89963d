#include "reenact/kernel/effects/receipt.h"

#include <sodium.h>

#include <algorithm>
#include <string>
#include <utility>

#include "reenact/base/check.h"

namespace reenact {
namespace {

static_assert(crypto_sign_BYTES == Receipt::kSignatureBytes);
static_assert(crypto_sign_PUBLICKEYBYTES == sizeof(PublicKey));
static_assert(crypto_sign_SECRETKEYBYTES == sizeof(SecretKey));
static_assert(crypto_sign_SEEDBYTES == sizeof(SigningSeed));

// Keys of the map; spec/effects.md has the table. The payload is last, so that
// everything else is known before it is looked at.
enum Key : std::uint64_t {
  kIntentHash = 0,
  kStatus = 1,
  kExecutor = 2,
  kLeaseEpoch = 3,
  kUsage = 4,
  kEvidence = 5,
  kSignature = 6,
  kPayload = 7,
};

constexpr std::uint64_t kStatusLast =
    static_cast<std::uint64_t>(ReceiptStatus::kCancelled);

// --- writing -----------------------------------------------------------------

std::uint64_t MembersOf(const Receipt& receipt, bool with_signature) {
  return 2u + !receipt.executor.empty() + (receipt.lease_epoch != 0) +
         !receipt.usage.empty() + !receipt.evidence.empty() +
         (with_signature && !receipt.signature.empty()) +
         !receipt.payload.empty();
}

void EncodeEvidence(const std::vector<Evidence>& evidence,
                    cbor::Encoder& encoder) {
  encoder.Array(evidence.size());
  for (const Evidence& piece : evidence) {
    encoder.Array(3);
    encoder.Text(piece.name);
    encoder.ByteString(piece.digest.view());
    encoder.Unsigned(piece.size);
  }
}

void Encode(const Receipt& receipt, bool with_signature,
            cbor::Encoder& encoder) {
  encoder.Map(MembersOf(receipt, with_signature));
  encoder.Unsigned(kIntentHash);
  encoder.ByteString(receipt.intent_hash.view());
  encoder.Unsigned(kStatus);
  encoder.Unsigned(static_cast<std::uint64_t>(receipt.status));
  if (!receipt.executor.empty()) {
    encoder.Unsigned(kExecutor);
    encoder.Text(receipt.executor);
  }
  if (receipt.lease_epoch != 0) {
    encoder.Unsigned(kLeaseEpoch);
    encoder.Unsigned(receipt.lease_epoch);
  }
  if (!receipt.usage.empty()) {
    encoder.Unsigned(kUsage);
    receipt.usage.Encode(encoder);
  }
  if (!receipt.evidence.empty()) {
    encoder.Unsigned(kEvidence);
    EncodeEvidence(receipt.evidence, encoder);
  }
  if (with_signature && !receipt.signature.empty()) {
    encoder.Unsigned(kSignature);
    encoder.ByteString(receipt.signature);
  }
  if (!receipt.payload.empty()) {
    encoder.Unsigned(kPayload);
    encoder.Raw(receipt.payload);
  }
}

// --- reading -----------------------------------------------------------------

// Reads the members of a map whose keys ascend.
class Members {
 public:
  explicit Members(cbor::Reader* reader)
      : reader_(*reader), left_(reader->Map()) {}

  // Whether the next member is `key`; then its value is next.
  bool Next(Key key) {
    if (left_ == 0 || !reader_.Take(key)) return false;
    --left_;
    return true;
  }
  void Expect(Key key, const char* without) {
    if (!Next(key)) reader_.Fail(without);
  }
  void ExpectNone() {
    if (left_ != 0) reader_.Fail("a key is unknown or out of order");
  }

 private:
  cbor::Reader& reader_;
  std::uint64_t left_;
};

Digest ReadDigest(cbor::Reader& reader) {
  const auto digest = Digest::FromBytes(reader.ByteString());
  if (digest.ok()) return *digest;
  reader.Fail("a digest has not 32 bytes");
  return {};
}

ReceiptStatus ReadStatus(cbor::Reader& reader) {
  const std::uint64_t status = reader.Unsigned();
  if (status > kStatusLast) reader.Fail("the status is unknown");
  return static_cast<ReceiptStatus>(std::min(status, kStatusLast));
}

std::string ReadText(cbor::Reader& reader, std::size_t max, const char* why) {
  const std::string_view text = reader.Text();
  if (text.empty() || text.size() > max) reader.Fail(why);
  return std::string(text);
}

Evidence ReadPiece(cbor::Reader& reader) {
  reader.ExpectArray(3);
  Evidence piece;
  piece.name = ReadText(reader, Receipt::kEvidenceNameBytesMax,
                        "evidence whose name is empty or too long");
  piece.digest = ReadDigest(reader);
  piece.size = reader.Unsigned();
  return piece;
}

std::vector<Evidence> ReadEvidence(cbor::Reader& reader) {
  const std::uint64_t size = reader.Array();
  if (size == 0) reader.Fail("the evidence is empty; omit the key");
  if (size > Receipt::kEvidenceMax)
    reader.Fail("there are too many pieces of evidence");
  std::vector<Evidence> evidence;
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    evidence.push_back(ReadPiece(reader));
  }
  return evidence;
}

// What is optional and not the payload.
void ReadExtras(Members& members, cbor::Reader& reader, Receipt* receipt) {
  if (members.Next(kExecutor)) {
    receipt->executor = ReadText(reader, Receipt::kExecutorBytesMax,
                                 "an executor that is empty or too long");
  }
  if (members.Next(kLeaseEpoch)) {
    receipt->lease_epoch = reader.Unsigned();
    if (receipt->lease_epoch == 0)
      reader.Fail("the lease epoch is 0; omit the key");
  }
  if (members.Next(kUsage)) {
    receipt->usage = Amounts::Decode(reader);
    if (receipt->usage.empty()) reader.Fail("the usage is empty; omit the key");
  }
  if (members.Next(kEvidence)) receipt->evidence = ReadEvidence(reader);
  if (members.Next(kSignature)) {
    receipt->signature = Bytes(reader.ByteString());
    if (receipt->signature.size() != Receipt::kSignatureBytes) {
      reader.Fail("the signature has not 64 bytes");
    }
  }
}

// The payload is the rest of the bytes, and at least one.
void TakePayload(Members& members, cbor::Reader& reader, Receipt* receipt) {
  if (!members.Next(kPayload)) return;
  const BytesView rest = reader.Rest();
  if (rest.empty()) reader.Fail("the payload is empty");
  receipt->payload = Bytes(rest);
  reader.Pass(rest.size());
}

}  // namespace

std::string_view ReceiptStatusName(ReceiptStatus status) {
  switch (status) {
    case ReceiptStatus::kOk:
      return "ok";
    case ReceiptStatus::kError:
      return "error";
    case ReceiptStatus::kTimeout:
      return "timeout";
    case ReceiptStatus::kDenied:
      return "denied";
    case ReceiptStatus::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

void EncodeReceipt(const Receipt& receipt, cbor::Encoder& encoder) {
  Encode(receipt, /*with_signature=*/true, encoder);
}

absl::StatusOr<Receipt> DecodeReceiptUnread(BytesView item) {
  cbor::Reader reader(item);
  Members members(&reader);
  Receipt receipt;
  members.Expect(kIntentHash, "a receipt without the hash of its intent");
  receipt.intent_hash = ReadDigest(reader);
  members.Expect(kStatus, "a receipt without a status");
  receipt.status = ReadStatus(reader);
  ReadExtras(members, reader, &receipt);
  TakePayload(members, reader, &receipt);
  members.ExpectNone();
  reader.ExpectEnd();
  if (!reader.ok()) return Annotate(reader.status(), "receipt");
  return receipt;
}

absl::StatusOr<Receipt> DecodeReceipt(BytesView item) {
  REENACT_ASSIGN_OR_RETURN(Receipt receipt, DecodeReceiptUnread(item));
  REENACT_RETURN_IF_ERROR(CheckPayload(receipt));
  return receipt;
}

absl::Status CheckPayload(const Receipt& receipt) {
  if (receipt.payload.empty()) return absl::OkStatus();
  return Annotate(
      cbor::ValidateWithin(receipt.payload, Receipt::kPayloadDepthMax),
      "receipt: payload");
}

Digest SignedDigest(BytesView world_id, const Receipt& receipt) {
  Bytes unsigned_receipt;
  cbor::Encoder encoder(&unsigned_receipt);
  Encode(receipt, /*with_signature=*/false, encoder);
  return Hasher("reenact.receipt.v1")
      .AddSized(world_id)
      .AddSized(unsigned_receipt)
      .Finish();
}

SecretKey SecretKeyOf(const SigningSeed& seed) {
  SecretKey secret{};
  PublicKey ignored{};
  crypto_sign_seed_keypair(ignored.data(), secret.data(), seed.data());
  return secret;
}

PublicKey PublicKeyOf(const SecretKey& key) {
  PublicKey public_key{};
  crypto_sign_ed25519_sk_to_pk(public_key.data(), key.data());
  return public_key;
}

void SignReceipt(BytesView world_id, const SecretKey& key, Receipt* receipt) {
  const Digest digest = SignedDigest(world_id, *receipt);
  receipt->signature.resize(Receipt::kSignatureBytes);
  const int failed = crypto_sign_detached(
      reinterpret_cast<unsigned char*>(receipt->signature.data()), nullptr,
      digest.bytes.data(), digest.bytes.size(), key.data());
  REENACT_CHECK(!failed);
}

bool IsSignedBy(BytesView world_id, const PublicKey& key,
                const Receipt& receipt) {
  if (receipt.signature.size() != Receipt::kSignatureBytes) return false;
  const Digest digest = SignedDigest(world_id, receipt);
  return crypto_sign_verify_detached(UnsignedData(receipt.signature),
                                     digest.bytes.data(), digest.bytes.size(),
                                     key.data()) == 0;
}

}  // namespace reenact
