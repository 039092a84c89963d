#include "reenact/kernel/effects/receipt.h"

#include <utility>

#include "reenact/kernel/rng.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

const Bytes kWorld(16, 'w');

SigningSeed SeedOf(BytesView bytes) {
  SigningSeed seed{};
  REQUIRE(bytes.size() == seed.size());
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
}

SecretKey KeyNumber(char number) {
  return SecretKeyOf(SeedOf(Bytes(32, number)));
}

Receipt Full() {
  Receipt receipt;
  receipt.intent_hash = Hash("intent");
  receipt.status = ReceiptStatus::kError;
  receipt.payload = cbor::EncodeText("no such host");
  receipt.usage = {{"calls", 2}, {"bytes", 512}};
  receipt.executor = "http-1";
  receipt.lease_epoch = 1ULL << 32;
  receipt.evidence = {{"stdout", Hash("out"), 3}, {"a/b", Hash(""), 0}};
  return receipt;
}

Bytes Encoded(const Receipt& receipt) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  EncodeReceipt(receipt, encoder);
  return bytes;
}

TEST_CASE("the vectors of receipts are read and written again", "[kernel]") {
  const auto vectors = ReadVectors("effects/receipts.txt");
  REQUIRE(vectors.size() >= 8);
  for (const Stanza& vector : vectors) {
    CAPTURE(vector.at("what"));
    const auto receipt = DecodeReceipt(Unhex(vector.at("hex")));
    REQUIRE_OK(receipt);
    REQUIRE(ToHex(Encoded(*receipt)) == vector.at("hex"));
    const Bytes world = Unhex(vector.at("world_id"));
    REQUIRE(SignedDigest(world, *receipt).ToHex() == vector.at("signed"));
    if (!vector.contains("seed")) continue;
    const SecretKey key = SecretKeyOf(SeedOf(Unhex(vector.at("seed"))));
    REQUIRE(IsSignedBy(world, PublicKeyOf(key), *receipt));
    Receipt again = *receipt;
    again.signature.clear();
    SignReceipt(world, key, &again);
    REQUIRE(again == *receipt);
  }
}

TEST_CASE("what is no receipt is refused, and said", "[kernel]") {
  const auto vectors = ReadVectors("effects/refused.txt");
  REQUIRE(vectors.size() >= 30);
  for (const Stanza& vector : vectors) {
    CAPTURE(vector.at("what"));
    const auto receipt = DecodeReceipt(Unhex(vector.at("hex")));
    REQUIRE(receipt.status().code() == absl::StatusCode::kInvalidArgument);
    REQUIRE(ToStd(receipt.status().message()).starts_with("receipt: "));
  }
}

TEST_CASE("every beginning of a receipt is refused", "[kernel]") {
  const Bytes whole = Encoded(Full());
  REQUIRE(DecodeReceipt(whole).value() == Full());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(DecodeReceipt(BytesView(whole).substr(0, size)).ok());
  }
}

TEST_CASE("a receipt with changed bytes is refused or has one encoding",
          "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 6));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  const Bytes whole = Encoded(Full());
  for (int i = 0; i < 2000; ++i) {
    Bytes bytes = whole;
    for (std::uint64_t n = rng.Below(3) + 1; n > 0; --n) {
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Below(256));
    }
    const auto receipt = DecodeReceipt(bytes);
    if (receipt.ok()) REQUIRE(ToHex(Encoded(*receipt)) == ToHex(bytes));
  }
}

TEST_CASE("a payload is looked at last", "[kernel]") {
  Receipt receipt = Full();
  receipt.payload = Bytes(1'000'000, '\x81');  // a million levels, none ends
  const Bytes bytes = Encoded(receipt);

  const auto unread = DecodeReceiptUnread(bytes);
  REQUIRE_OK(unread);
  REQUIRE(unread->payload == receipt.payload);
  REQUIRE(CheckPayload(*unread).code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(DecodeReceipt(bytes).status() == CheckPayload(*unread));

  receipt.executor.assign(65, 'x');
  REQUIRE(ToStd(DecodeReceipt(Encoded(receipt)).status().message())
              .find("executor") != std::string_view::npos);
}

TEST_CASE("a signature covers everything but itself, and the world",
          "[kernel]") {
  const SecretKey key = KeyNumber(1);
  Receipt signed_receipt = Full();
  SignReceipt(kWorld, key, &signed_receipt);
  REQUIRE(IsSignedBy(kWorld, PublicKeyOf(key), signed_receipt));

  SECTION("another key") {
    REQUIRE_FALSE(
        IsSignedBy(kWorld, PublicKeyOf(KeyNumber(2)), signed_receipt));
  }
  SECTION("another world") {
    REQUIRE_FALSE(IsSignedBy(Bytes(16, 'v'), PublicKeyOf(key), signed_receipt));
  }
  SECTION("no signature, or half of one") {
    Receipt receipt = signed_receipt;
    receipt.signature.resize(32);
    REQUIRE_FALSE(IsSignedBy(kWorld, PublicKeyOf(key), receipt));
    receipt.signature.clear();
    REQUIRE_FALSE(IsSignedBy(kWorld, PublicKeyOf(key), receipt));
  }
  SECTION("anything changed") {
    const auto changes = {
        +[](Receipt& r) { r.intent_hash = Hash("another"); },
        +[](Receipt& r) { r.status = ReceiptStatus::kOk; },
        +[](Receipt& r) { r.payload = cbor::EncodeText("no such hosT"); },
        +[](Receipt& r) { r.payload.clear(); },
        +[](Receipt& r) { r.usage.Set("calls", 1); },
        +[](Receipt& r) { r.executor = "http-2"; },
        +[](Receipt& r) { r.lease_epoch += 1; },
        +[](Receipt& r) { r.evidence[0].digest = Hash("Out"); },
        +[](Receipt& r) { r.evidence.pop_back(); },
        +[](Receipt& r) {
          r.signature[63] = static_cast<char>(r.signature[63] ^ 1);
        },
    };
    for (const auto change : changes) {
      Receipt receipt = signed_receipt;
      change(receipt);
      REQUIRE_FALSE(IsSignedBy(kWorld, PublicKeyOf(key), receipt));
    }
  }
}

TEST_CASE("signing again gives the same signature", "[kernel]") {
  Receipt receipt = Full();
  SignReceipt(kWorld, KeyNumber(1), &receipt);
  const Bytes first = receipt.signature;
  SignReceipt(kWorld, KeyNumber(1), &receipt);
  REQUIRE(receipt.signature == first);
}

TEST_CASE("a status has a name", "[kernel]") {
  REQUIRE(ReceiptStatusName(ReceiptStatus::kOk) == "ok");
  REQUIRE(ReceiptStatusName(ReceiptStatus::kCancelled) == "cancelled");
  REQUIRE(ReceiptStatusName(static_cast<ReceiptStatus>(9)) == "unknown");
}

}  // namespace
}  // namespace reenact
