// What a world and executors of other processes say to each other.

#ifndef REENACT_EXECUTORS_FRAMES_H_
#define REENACT_EXECUTORS_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/hash.h"

// spec/executor-protocol.md has who says what when.
namespace reenact::frames {

inline constexpr std::uint64_t kVersion = 1;
inline constexpr std::size_t kFrameBytesMaxDefault = 8 << 20;
inline constexpr std::size_t kVersionsMax = 16;
inline constexpr std::size_t kKindsMax = 64;
inline constexpr std::size_t kKindBytesMax = 256;
inline constexpr std::uint64_t kConcurrencyMax = 1024;
inline constexpr std::size_t kReasonBytesMax = 1024;

struct Hello {
  std::vector<std::uint64_t> versions;  // that it speaks, ascending
  std::string executor;
  std::vector<std::string> kinds;
  std::uint64_t concurrency = 1;

  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Welcome {
  std::uint64_t version = kVersion;
  Bytes world_id;
  std::uint64_t opening_epoch = 0;
  std::uint64_t lease_ms = 0;
  std::uint64_t frame_bytes_max = kFrameBytesMaxDefault;

  friend bool operator==(const Welcome&, const Welcome&) = default;
};
struct Offer {
  OpenEffect effect;

  friend bool operator==(const Offer&, const Offer&) = default;
};
struct Claim {
  Digest intent;

  friend bool operator==(const Claim&, const Claim&) = default;
};
struct Granted {
  Digest intent;
  std::uint64_t epoch = 0;
  std::uint64_t attempt = 1;

  friend bool operator==(const Granted&, const Granted&) = default;
};
struct Renew {
  Digest intent;
  std::uint64_t epoch = 0;

  friend bool operator==(const Renew&, const Renew&) = default;
};
struct Submit {
  Bytes receipt;  // its encoding, which nobody has looked at

  friend bool operator==(const Submit&, const Submit&) = default;
};
struct Cancel {
  Digest intent;
  std::uint64_t epoch = 0;  // 0: an offer
  std::string reason;

  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct Verdict {
  Digest intent;
  std::uint64_t epoch = 0;
  std::string verdict;  // see VerdictOf()
  std::string message;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};
struct Bye {
  std::string reason;

  friend bool operator==(const Bye&, const Bye&) = default;
};
struct Error {
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

// Their places are their numbers in the protocol.
using Frame = std::variant<Hello, Welcome, Offer, Claim, Granted, Renew, Submit,
                           Cancel, Verdict, Bye, Error>;
inline constexpr std::uint64_t kSubmitType = 6;

// Length and item. Texts that are too long are cut.
Bytes Encode(const Frame& frame);
// The item alone. InvalidArgument: what is wrong, and at which byte.
absl::StatusOr<Frame> Decode(BytesView item);
// Whether bytes that may be no item begin as a frame with a receipt does.
bool LooksLikeReceipt(BytesView item);
// The effect that a receipt is for, or a frame with one, as far as it has come;
// nullopt: it is not so far, or none. What follows may be anything.
std::optional<Digest> IntentOfReceipt(BytesView receipt);
std::optional<Digest> IntentOfSubmit(BytesView item);

// "accepted", "duplicate", "overtaken", "unknown", "denied", "malformed" or
// "undelivered"; and the status that has this name.
std::string_view VerdictOf(const absl::Status& status);
absl::Status StatusOf(const Verdict& verdict);

// Cuts a stream into frames.
//
// Thread safety: none.
class Splitter {
 public:
  explicit Splitter(std::size_t frame_bytes_max)
      : frame_bytes_max_(frame_bytes_max) {}

  // Holds at most one frame and what was added last, if Next() is called until
  // it gives nothing after each Add().
  void Add(BytesView bytes);
  // The next item, good until the next call; nothing if it is not all there.
  // InvalidArgument: a length of 0, or above the largest; at once, and from
  // then on always.
  absl::StatusOr<std::optional<BytesView>> Next();
  // What has come of the next frame, its length not counted.
  BytesView Begun() const;
  bool IsBetweenFrames() const { return at_ == buffer_.size(); }

 private:
  const std::size_t frame_bytes_max_;
  Bytes buffer_;
  std::size_t at_ = 0;
};

}  // namespace reenact::frames

#endif  // REENACT_EXECUTORS_FRAMES_H_
