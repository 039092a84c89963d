#include "reenact/executors/frames.h"

#include <algorithm>
#include <array>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact::frames {
namespace {

constexpr std::size_t kPrefix = 4;

// --- writing -----------------------------------------------------------------

// A frame's map: key 0 is its type, 1 and so on its members in order.
class Writer {
 public:
  Writer(Bytes* out, std::uint64_t type, std::uint64_t members)
      : encoder_(out) {
    encoder_.Map(members + 1);
    encoder_.Unsigned(0);
    encoder_.Unsigned(type);
  }

  cbor::Encoder& Next() {
    encoder_.Unsigned(++key_);
    return encoder_;
  }
  void Unsigned(std::uint64_t value) { Next().Unsigned(value); }
  void ByteString(BytesView bytes) { Next().ByteString(bytes); }
  void Text(std::string_view text) { Next().Text(text); }
  void Intent(const Digest& intent) { ByteString(intent.view()); }
  // For people: cut where it is too long, or no text.
  void Reason(std::string_view text) {
    text = text.substr(0, kReasonBytesMax);
    while (!cbor::IsUtf8(text)) text.remove_suffix(1);
    Text(text);
  }

 private:
  cbor::Encoder encoder_;
  std::uint64_t key_ = 0;
};

void Write(const Hello& hello, Bytes* out) {
  Writer writer(out, 0, 4);
  cbor::Encoder& versions = writer.Next();
  versions.Array(hello.versions.size());
  for (const std::uint64_t version : hello.versions) versions.Unsigned(version);
  writer.Text(hello.executor);
  cbor::Encoder& kinds = writer.Next();
  kinds.Array(hello.kinds.size());
  for (const std::string& kind : hello.kinds) kinds.Text(kind);
  writer.Unsigned(hello.concurrency);
}

void Write(const Welcome& welcome, Bytes* out) {
  Writer writer(out, 1, 5);
  writer.Unsigned(welcome.version);
  writer.ByteString(welcome.world_id);
  writer.Unsigned(welcome.opening_epoch);
  writer.Unsigned(welcome.lease_ms);
  writer.Unsigned(welcome.frame_bytes_max);
}

void Write(const Offer& offer, Bytes* out) {
  const OpenEffect& effect = offer.effect;
  const bool retry = !effect.retry.empty();
  Writer writer(out, 2, retry ? 12 : effect.deadline ? 11 : 10);
  writer.Intent(effect.intent_hash);
  writer.ByteString(effect.idempotency_key.view());
  writer.Unsigned(effect.event_id.value);
  writer.Unsigned(effect.index);
  cbor::Encoder& origin = writer.Next();
  origin.Array(2);
  origin.Text(effect.origin.reducer);
  origin.Text(effect.origin.key);
  writer.Text(effect.kind);
  writer.Text(effect.capability);
  writer.ByteString(effect.params);
  effect.reserved.Encode(writer.Next());
  writer.Next().Integer(effect.queued.value);
  if (effect.deadline) {
    writer.Next().Integer(effect.deadline->value);
  } else if (retry) {
    writer.Next().Null();
  }
  if (retry) effect.retry.Encode(writer.Next());
}

void Write(const Claim& claim, Bytes* out) {
  Writer(out, 3, 1).Intent(claim.intent);
}

void Write(const Granted& granted, Bytes* out) {
  Writer writer(out, 4, 3);
  writer.Intent(granted.intent);
  writer.Unsigned(granted.epoch);
  writer.Unsigned(granted.attempt);
}

void Write(const Renew& renew, Bytes* out) {
  Writer writer(out, 5, 2);
  writer.Intent(renew.intent);
  writer.Unsigned(renew.epoch);
}

void Write(const Submit& submit, Bytes* out) {
  Writer(out, kSubmitType, 1).ByteString(submit.receipt);
}

void Write(const Cancel& cancel, Bytes* out) {
  Writer writer(out, 7, 3);
  writer.Intent(cancel.intent);
  writer.Unsigned(cancel.epoch);
  writer.Reason(cancel.reason);
}

void Write(const Verdict& verdict, Bytes* out) {
  Writer writer(out, 8, 4);
  writer.Intent(verdict.intent);
  writer.Unsigned(verdict.epoch);
  writer.Reason(verdict.verdict);
  writer.Reason(verdict.message);
}

void Write(const Bye& bye, Bytes* out) { Writer(out, 9, 1).Reason(bye.reason); }

void Write(const Error& error, Bytes* out) {
  Writer(out, 10, 1).Reason(error.message);
}

// --- reading -----------------------------------------------------------------

class MemberReader {
 public:
  MemberReader(cbor::Reader* reader, std::uint64_t members)
      : reader_(*reader), left_(members) {}

  // The reader, at the value of the next member.
  cbor::Reader& Next() {
    if (left_ == 0) reader_.Fail("fewer members than such a frame has");
    if (left_ > 0) --left_;
    reader_.ExpectKey(++key_);
    return reader_;
  }
  bool HasMore() const { return left_ > 0 && reader_.ok(); }
  void ExpectEnd() {
    if (left_ > 0) reader_.Fail("more members than such a frame has");
    reader_.ExpectEnd();
  }

  std::uint64_t Unsigned() { return Next().Unsigned(); }
  Digest Intent() {
    const auto digest = Digest::FromBytes(Next().ByteString());
    if (digest.ok()) return *digest;
    reader_.Fail("a digest that is not 32 bytes long");
    return {};
  }
  std::string Text(std::size_t max) {
    const std::string_view text = Next().Text();
    if (text.size() > max) reader_.Fail("a text that is too long");
    return std::string(text);
  }
  std::string Name(std::size_t max) {
    std::string name = Text(max);
    if (name.empty()) reader_.Fail("a name that is empty");
    return name;
  }

 private:
  cbor::Reader& reader_;
  std::uint64_t left_;
  std::uint64_t key_ = 0;
};

std::uint64_t ArrayOf(cbor::Reader& reader, std::size_t max) {
  const std::uint64_t size = reader.Array();
  if (size == 0 || size > max)
    reader.Fail("an array that is empty or too long");
  return reader.ok() ? size : 0;
}

Frame ReadHello(MemberReader& members) {
  Hello hello;
  cbor::Reader& versions = members.Next();
  for (auto n = ArrayOf(versions, kVersionsMax); n > 0; --n) {
    hello.versions.push_back(versions.Unsigned());
  }
  hello.executor = members.Name(Receipt::kExecutorBytesMax);
  cbor::Reader& kinds = members.Next();
  for (auto n = ArrayOf(kinds, kKindsMax); n > 0 && kinds.ok(); --n) {
    hello.kinds.emplace_back(kinds.Text());
    if (hello.kinds.back().empty() ||
        hello.kinds.back().size() > kKindBytesMax) {
      kinds.Fail("a kind that is empty or too long");
    }
  }
  hello.concurrency = members.Unsigned();
  if (hello.concurrency == 0 || hello.concurrency > kConcurrencyMax) {
    kinds.Fail("a concurrency that is not between 1 and 1024");
  }
  return hello;
}

Frame ReadWelcome(MemberReader& members) {
  Welcome welcome;
  welcome.version = members.Unsigned();
  cbor::Reader& reader = members.Next();
  welcome.world_id = Bytes(reader.ByteString());
  if (welcome.world_id.size() != kWorldIdSize) {
    reader.Fail("a world's id that is not 16 bytes long");
  }
  welcome.opening_epoch = members.Unsigned();
  welcome.lease_ms = members.Unsigned();
  welcome.frame_bytes_max = members.Unsigned();
  return welcome;
}

CellId ReadOrigin(cbor::Reader& reader) {
  reader.ExpectArray(2);
  CellId origin;
  origin.reducer = std::string(reader.Text());
  origin.key = std::string(reader.Text());
  return origin;
}

Frame ReadOffer(MemberReader& members) {
  Offer offer;
  OpenEffect& effect = offer.effect;
  effect.intent_hash = members.Intent();
  effect.idempotency_key = members.Intent();
  effect.event_id.value = members.Unsigned();
  cbor::Reader& reader = members.Next();
  const std::uint64_t index = reader.Unsigned();
  if (index > 0xffffffff) reader.Fail("an index beyond 32 bits");
  effect.index = static_cast<std::uint32_t>(index);
  effect.origin = ReadOrigin(members.Next());
  effect.kind = members.Name(kKindBytesMax);
  effect.capability = std::string(members.Next().Text());
  effect.params = Bytes(members.Next().ByteString());
  effect.reserved = Amounts::Decode(members.Next());
  effect.queued.value = members.Next().Integer();
  if (!members.HasMore()) return offer;
  cbor::Reader& deadline = members.Next();
  if (deadline.Peek() != cbor::Type::kNull) {
    effect.deadline = LogicalTime{deadline.Integer()};
  } else {
    deadline.Null();
    if (!members.HasMore())
      deadline.Fail("the deadline is empty; omit the key");
  }
  if (members.HasMore()) effect.retry = RetryRule::Decode(members.Next());
  return offer;
}

Frame ReadClaim(MemberReader& members) { return Claim{members.Intent()}; }

Frame ReadGranted(MemberReader& members) {
  Granted granted;
  granted.intent = members.Intent();
  granted.epoch = members.Unsigned();
  granted.attempt = members.Unsigned();
  return granted;
}

Frame ReadRenew(MemberReader& members) {
  Renew renew;
  renew.intent = members.Intent();
  renew.epoch = members.Unsigned();
  return renew;
}

Frame ReadSubmit(MemberReader& members) {
  return Submit{Bytes(members.Next().ByteString())};
}

Frame ReadCancel(MemberReader& members) {
  Cancel cancel;
  cancel.intent = members.Intent();
  cancel.epoch = members.Unsigned();
  cancel.reason = members.Text(kReasonBytesMax);
  return cancel;
}

Frame ReadVerdict(MemberReader& members) {
  Verdict verdict;
  verdict.intent = members.Intent();
  verdict.epoch = members.Unsigned();
  verdict.verdict = members.Text(kReasonBytesMax);
  verdict.message = members.Text(kReasonBytesMax);
  return verdict;
}

Frame ReadBye(MemberReader& members) {
  return Bye{members.Text(kReasonBytesMax)};
}

Frame ReadError(MemberReader& members) {
  return Error{members.Text(kReasonBytesMax)};
}

using ReadFunction = Frame (*)(MemberReader&);
constexpr std::array<ReadFunction, std::variant_size_v<Frame>> kReaders = {
    ReadHello,  ReadWelcome, ReadOffer,   ReadClaim, ReadGranted, ReadRenew,
    ReadSubmit, ReadCancel,  ReadVerdict, ReadBye,   ReadError};

struct NamedCode {
  std::string_view name;
  absl::StatusCode code;
};
constexpr NamedCode kVerdicts[] = {
    {"accepted", absl::StatusCode::kOk},
    {"duplicate", absl::StatusCode::kAlreadyExists},
    {"overtaken", absl::StatusCode::kFailedPrecondition},
    {"unknown", absl::StatusCode::kNotFound},
    {"denied", absl::StatusCode::kPermissionDenied},
    {"malformed", absl::StatusCode::kInvalidArgument},
    {"undelivered", absl::StatusCode::kUnavailable},
};

}  // namespace

Bytes Encode(const Frame& frame) {
  Bytes out(kPrefix, '\0');
  std::visit([&out](const auto& it) { Write(it, &out); }, frame);
  std::size_t size = out.size() - kPrefix;
  for (std::size_t i = kPrefix; i-- > 0; size >>= 8) {
    out[i] = static_cast<char>(size & 0xff);
  }
  return out;
}

absl::StatusOr<Frame> Decode(BytesView item) {
  cbor::Reader reader(item);
  const std::uint64_t size = reader.Map();
  reader.ExpectKey(0);
  const std::uint64_t type = reader.Unsigned();
  if (type >= kReaders.size()) reader.Fail("a type that no frame has");
  if (!reader.ok()) return Annotate(reader.status(), "frame");
  MemberReader members(&reader, size == 0 ? 0 : size - 1);
  Frame frame = kReaders[type](members);
  members.ExpectEnd();
  if (!reader.ok()) return Annotate(reader.status(), "frame");
  return frame;
}

bool LooksLikeReceipt(BytesView item) {
  // By hand: a reader does not begin a map whose members are not all there.
  const auto byte = [item](std::size_t i) {
    return static_cast<unsigned char>(item[i]);
  };
  return item.size() >= 3 && byte(0) >> 5 == cbor::kMajorMap && byte(1) == 0 &&
         byte(2) == kSubmitType;
}

std::optional<Digest> IntentOfReceipt(BytesView receipt) {
  // A map whose first key is 0, of a byte string of 32.
  constexpr std::string_view kBegin("\x00\x58\x20", 3);
  if (receipt.empty() || receipt.substr(1, 3) != kBegin ||
      static_cast<unsigned char>(receipt[0]) >> 5 != cbor::kMajorMap) {
    return std::nullopt;
  }
  const auto digest = Digest::FromBytes(receipt.substr(4, kDigestSize));
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

std::optional<Digest> IntentOfSubmit(BytesView item) {
  // Behind the type stands key 1, and the head of a byte string of any size.
  if (!LooksLikeReceipt(item) || item.size() < 5 || item[3] != 1) {
    return std::nullopt;
  }
  const unsigned head = static_cast<unsigned char>(item[4]) ^
                        static_cast<unsigned>(cbor::kMajorBytes) << 5;
  if (head > 27) return std::nullopt;
  const std::size_t more = head < 24 ? 0 : std::size_t{1} << (head - 24);
  if (item.size() < 5 + more) return std::nullopt;
  return IntentOfReceipt(item.substr(5 + more));
}

std::string_view VerdictOf(const absl::Status& status) {
  for (const NamedCode& verdict : kVerdicts) {
    if (verdict.code == status.code()) return verdict.name;
  }
  return "undelivered";
}

absl::Status StatusOf(const Verdict& verdict) {
  for (const NamedCode& known : kVerdicts) {
    if (known.name == verdict.verdict) {
      return absl::Status(known.code, ToAbsl(verdict.message));
    }
  }
  return absl::UnavailableError(ToAbsl(verdict.message));
}

// --- Splitter ----------------------------------------------------------------

void Splitter::Add(BytesView bytes) {
  buffer_.erase(0, std::exchange(at_, 0));
  // What a large frame needed is given back.
  if (buffer_.empty() && buffer_.capacity() > (1 << 16)) buffer_ = Bytes();
  buffer_.append(bytes);
}

BytesView Splitter::Begun() const {
  const BytesView rest = BytesView(buffer_).substr(at_);
  return rest.substr(std::min(rest.size(), kPrefix));
}

absl::StatusOr<std::optional<BytesView>> Splitter::Next() {
  const BytesView rest = BytesView(buffer_).substr(at_);
  if (rest.size() < kPrefix) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kPrefix; ++i) {
    size = size << 8 | static_cast<unsigned char>(rest[i]);
  }
  if (size == 0 || size > frame_bytes_max_) {
    return absl::InvalidArgumentError("a frame of " + std::to_string(size) +
                                      " bytes; it may have from 1 to " +
                                      std::to_string(frame_bytes_max_));
  }
  if (rest.size() - kPrefix < size) return std::nullopt;
  at_ += kPrefix + size;
  return rest.substr(kPrefix, size);
}

}  // namespace reenact::frames
