// Any bytes as what comes from outside and decides about effects: receipts,
// changes of grants, policies and conditions. What is accepted is what would be
// written, and means the same when it is read again.

#include <string>
#include <string_view>

#include "reenact/base/check.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/authority/predicate.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/receipt.h"
#include "tests/fuzz/targets.h"

namespace reenact {
namespace {

Bytes Encoded(const Receipt& receipt) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  EncodeReceipt(receipt, encoder);
  return bytes;
}

void LookAtReceipt(BytesView bytes) {
  const auto unread = DecodeReceiptUnread(bytes);
  const auto whole = DecodeReceipt(bytes);
  if (whole.ok()) REENACT_CHECK(unread.ok() && *unread == *whole);
  if (!unread.ok()) {
    REENACT_CHECK(absl::IsInvalidArgument(unread.status()));
    REENACT_CHECK(unread.status() == whole.status());
    return;
  }
  REENACT_CHECK(whole.ok() == CheckPayload(*unread).ok());
  REENACT_CHECK(Encoded(*unread) == bytes);
  // The signature is no part of what it covers.
  Receipt bare = *unread;
  bare.signature.clear();
  const Bytes world(16, 'w');
  REENACT_CHECK(SignedDigest(world, bare) == SignedDigest(world, *unread));
  static const PublicKey key = PublicKeyOf(SecretKeyOf(SigningSeed{}));
  if (unread->signature.empty()) REENACT_CHECK(!IsSignedBy(world, key, bare));
}

// Something that is decoded from a reader: what it accepts as a whole is what
// it writes.
template <typename Decode, typename Encode>
void LookAtItem(BytesView bytes, Decode decode, Encode encode) {
  cbor::Reader reader(bytes);
  const auto value = decode(reader);
  reader.ExpectEnd();
  if (!reader.ok()) return;
  Bytes again;
  cbor::Encoder encoder(&again);
  encode(value, encoder);
  REENACT_CHECK(again == bytes);
}

void LookAtItems(BytesView bytes) {
  LookAtItem(bytes, DecodeGrantChange, EncodeGrantChange);
  LookAtItem(bytes, DecodePredicate, EncodePredicate);
  const auto encode = [](const auto& value, cbor::Encoder& encoder) {
    value.Encode(encoder);
  };
  LookAtItem(bytes, &Amounts::Decode, encode);
  LookAtItem(bytes, &Rates::Decode, encode);
  LookAtItem(bytes, &Grants::Decode,
             [&encode](const Grants& grants, cbor::Encoder& encoder) {
               REENACT_CHECK(grants.CheckConservation().ok());
               encode(grants, encoder);
             });
}

// A change that is let through keeps what grants promise.
void LookAtChanges(BytesView bytes) {
  cbor::Reader reader(bytes);
  Grants grants;
  for (int i = 0; i < 64 && !reader.AtEnd(); ++i) {
    const GrantChange change = DecodeGrantChange(reader);
    if (!reader.ok()) return;
    REENACT_CHECK(CheckGrantChange(change).ok());
    const Grants before = grants;
    if (!grants.Apply(change).ok()) REENACT_CHECK(grants == before);
    REENACT_CHECK(grants.CheckConservation().ok());
  }
}

EffectFacts FactsOf(const cbor::Value& params, const Amounts& reserve) {
  EffectFacts facts;
  facts.kind = "http.request";
  facts.capability = "crawler";
  facts.reducer = "spider";
  facts.key = "a";
  facts.params = &params;
  facts.reserve = &reserve;
  return facts;
}

void LookAtPolicy(const cbor::Value& document) {
  const auto policy = Policy::Parse(document);
  if (!policy.ok()) {
    REENACT_CHECK(absl::IsInvalidArgument(policy.status()));
    return;
  }
  const auto again =
      Policy::Parse(cbor::Value::Parse(policy->content()).value());
  REENACT_CHECK(again.ok() && again->content() == policy->content());
  REENACT_CHECK(again->digest() == policy->digest());
  // A decision does not depend on where the policy was read from.
  const Amounts reserve{{"calls", 1}};
  const EffectFacts facts = FactsOf(document, reserve);
  Rates rates;
  Rates rates_again;
  for (const std::int64_t time : {0, 1, 1000}) {
    const auto decision = policy->Decide(facts, LogicalTime{time}, rates);
    const auto same = again->Decide(facts, LogicalTime{time}, rates_again);
    REENACT_CHECK(decision.verdict == same.verdict);
    REENACT_CHECK(decision.rule == same.rule && decision.rates == same.rates);
    policy->Take(decision, LogicalTime{time}, &rates);
    again->Take(same, LogicalTime{time}, &rates_again);
    REENACT_CHECK(rates == rates_again);
  }
  policy->Explain(&facts, LogicalTime{7}, rates);
}

// As people write them.
void LookAtDocument(BytesView bytes) {
  const auto document = cbor::Value::Parse(bytes);
  if (!document.ok()) return;
  LookAtPolicy(*document);
  const auto predicate = ParsePredicate(*document);
  if (predicate.ok()) {
    REENACT_CHECK(CheckPredicate(*predicate).ok());
    Holds(*predicate, *document);
    ToString(*predicate);
  }
  const auto grant = ParseGrant(*document);
  if (!grant.ok()) REENACT_CHECK(absl::IsInvalidArgument(grant.status()));
  if (grant.ok()) {
    Bytes encoded;
    cbor::Encoder encoder(&encoded);
    EncodeGrantChange({GrantChange::Op::kCreate, *grant}, encoder);
    cbor::Reader reader(encoded);
    const GrantChange again = DecodeGrantChange(reader);
    REENACT_CHECK(reader.ok() && again.grant == *grant);
  }
}

// What is accepted as a URL is its host as two would read it.
void LookAtText(std::string_view text) {
  if (const auto url = ParsePlainUrl(text)) {
    REENACT_CHECK(!url->host.empty() && url->port != 0);
    const std::string plain =
        std::string(url->secure ? "https://" : "http://") + url->host + ":" +
        std::to_string(url->port) + "/";
    REENACT_CHECK(ParsePlainUrl(plain) == url);
  }
  if (IsPlainPath(text)) REENACT_CHECK(text.find("//") == text.npos);
}

}  // namespace
}  // namespace reenact

extern "C" int ReceiptFuzzOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace reenact;
  const BytesView input(reinterpret_cast<const char*>(data), size);
  LookAtReceipt(input);
  LookAtItems(input);
  LookAtChanges(input);
  LookAtDocument(input);
  LookAtText(input);
  return 0;
}
