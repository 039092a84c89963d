#include "reenact/executors/frames.h"

#include <cstdint>
#include <set>
#include <variant>

#include "reenact/kernel/rng.h"
#include "tests/executors/open_effects.h"
#include "tests/fuzz/targets.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using frames::Frame;

OpenEffect Rich() {
  OpenEffect effect = EffectOf(7, "mail.send");
  effect.index = 2;
  effect.capability = "mail";
  effect.reserved = {{"calls", 1}, {"cents", 5}};
  effect.queued = LogicalTime{-3};
  effect.deadline = LogicalTime{1'000'000};
  return effect;
}

// One of each type, and more.
std::vector<Frame> Samples() {
  const Digest intent = IntentOf(1);
  return {
      frames::Hello{{1, 2}, "mail-2", {"mail.send", "fax"}, 4},
      frames::Welcome{1, WorldId(), 3, 30'000, 8 << 20},
      frames::Offer{EffectOf(1)},
      frames::Offer{Rich()},
      frames::Claim{intent},
      frames::Granted{intent, (3ULL << 32) + 17, 2},
      frames::Renew{intent, ~0ULL},
      frames::Submit{"any bytes \xff"},
      frames::Submit{""},
      frames::Cancel{intent, 0, "closed"},
      frames::Verdict{intent, 9, "accepted", ""},
      frames::Bye{"done"},
      frames::Error{"that was no frame"},
  };
}

Bytes ItemOf(const Frame& frame) { return frames::Encode(frame).substr(4); }

std::string WhyNot(const Bytes& item) {
  const auto frame = frames::Decode(item);
  REQUIRE(absl::IsInvalidArgument(frame.status()));
  return std::string(frame.status().message());
}

TEST_CASE("a frame is read as it was written, whatever its type",
          "[executors]") {
  std::set<std::size_t> types;
  for (const Frame& frame : Samples()) {
    types.insert(frame.index());
    const auto read = frames::Decode(ItemOf(frame));
    REQUIRE_OK(read);
    REQUIRE(*read == frame);
    REQUIRE(frames::LooksLikeReceipt(ItemOf(frame)) ==
            std::holds_alternative<frames::Submit>(frame));
  }
  REQUIRE(types.size() == std::variant_size_v<Frame>);
}

TEST_CASE("the specification's claim is what is sent", "[executors]") {
  frames::Claim claim;
  claim.intent = Hash("");
  REQUIRE(ToHex(frames::Encode(claim)) ==
          "00000026a20003015820" + Hash("").ToHex());
}

TEST_CASE("every beginning of a frame is refused", "[executors]") {
  for (const Frame& frame : Samples()) {
    const Bytes item = ItemOf(frame);
    for (std::size_t size = 0; size < item.size(); ++size) {
      REQUIRE_FALSE(frames::Decode(BytesView(item).substr(0, size)).ok());
    }
    REQUIRE_FALSE(frames::Decode(item + '\0').ok());
  }
}

TEST_CASE("what is no frame is refused, and said", "[executors]") {
  const auto hex = [](const char* digits) { return FromHex(digits).value(); };
  const Bytes digest = "\x58\x20" + Bytes(32, 'd');
  CHECK(WhyNot("").find("frame: ") == 0);
  CHECK(WhyNot(hex("00")).find("map") != std::string::npos);
  CHECK(WhyNot(hex("a0")).find("frame: ") == 0);
  CHECK(WhyNot(hex("a1000b")).find("type") != std::string::npos);
  CHECK(WhyNot(hex("a1001bffffffffffffffff")).find("type") !=
        std::string::npos);
  CHECK(WhyNot(hex("a10003")).find("fewer members") != std::string::npos);
  CHECK(WhyNot(hex("a3000301") + digest + hex("0200")).find("more members") !=
        std::string::npos);
  CHECK(WhyNot(hex("a200030141") + "d").find("32 bytes") != std::string::npos);
  // Not canonical: a long head, indefinite lengths, keys out of order.
  CHECK_FALSE(frames::Decode(hex("a200180301") + digest).ok());
  CHECK_FALSE(frames::Decode(hex("bf000301") + digest + hex("ff")).ok());
  CHECK_FALSE(frames::Decode(hex("a201") + digest + hex("0003")).ok());
  CHECK_FALSE(frames::Decode(hex("a2000301c0") + digest).ok());
  // Lengths that are not there, and texts that are none.
  CHECK_FALSE(frames::Decode(hex("a20006015a40000000")).ok());
  CHECK_FALSE(frames::Decode(hex("a20006015bffffffffffffffff")).ok());
  CHECK_FALSE(frames::Decode(hex("a200090162c328")).ok());
  CHECK_FALSE(frames::Decode(hex("bbffffffffffffffff0003")).ok());
}

TEST_CASE("a greeting has its limits", "[executors]") {
  const auto refused = [](frames::Hello hello) {
    return !frames::Decode(ItemOf(hello)).ok();
  };
  const frames::Hello good{{1}, "e", {"k"}, 1};
  REQUIRE_FALSE(refused(good));
  frames::Hello hello = good;
  SECTION("no version") { hello.versions.clear(); }
  SECTION("17 versions") { hello.versions.assign(17, 1); }
  SECTION("no name") { hello.executor.clear(); }
  SECTION("a name of 65 bytes") { hello.executor.assign(65, 'e'); }
  SECTION("no kind") { hello.kinds.clear(); }
  SECTION("65 kinds") { hello.kinds.assign(65, "k"); }
  SECTION("an empty kind") { hello.kinds = {""}; }
  SECTION("a kind of 257 bytes") { hello.kinds = {Bytes(257, 'k')}; }
  SECTION("no concurrency") { hello.concurrency = 0; }
  SECTION("too much concurrency") { hello.concurrency = 1025; }
  REQUIRE(refused(hello));
}

TEST_CASE("chaos 48: nesting is refused without recursion", "[executors]") {
  const Bytes deep(1'000'000, '\x81');
  REQUIRE_FALSE(frames::Decode(deep).ok());
  REQUIRE_FALSE(frames::Decode(FromHex("a2000601").value() + deep).ok());
}

TEST_CASE("what is for people is cut between letters", "[executors]") {
  const std::string text = std::string(1023, 'a') + "ä";
  const auto frame = frames::Decode(ItemOf(frames::Bye{text}));
  REQUIRE_OK(frame);
  REQUIRE(std::get<frames::Bye>(*frame).reason == std::string(1023, 'a'));
}

TEST_CASE("a stream is cut into frames, however it arrives", "[executors]") {
  Bytes stream;
  for (const Frame& frame : Samples()) stream += frames::Encode(frame);
  const std::size_t step = GENERATE(1u, 3u, 64u, 100'000u);
  frames::Splitter splitter(1 << 16);
  std::vector<Frame> read;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    splitter.Add(BytesView(stream).substr(at, step));
    while (true) {
      const auto item = splitter.Next();
      REQUIRE_OK(item);
      if (!item->has_value()) break;
      read.push_back(frames::Decode(**item).value());
    }
  }
  REQUIRE(read == Samples());
  REQUIRE(splitter.IsBetweenFrames());
}

TEST_CASE("chaos 48: a length is refused before anything of it has come",
          "[executors]") {
  frames::Splitter splitter(100);
  const auto length = GENERATE(as<std::string>{}, "00000000", "00000065",
                               "40000000", "ffffffff");
  splitter.Add(FromHex(length).value());
  REQUIRE(absl::IsInvalidArgument(splitter.Next().status()));
  REQUIRE(absl::IsInvalidArgument(splitter.Next().status()));
}

TEST_CASE("a verdict is the status that it came from", "[executors]") {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::AlreadyExistsError("m"),
        absl::FailedPreconditionError("m"), absl::NotFoundError("m"),
        absl::PermissionDeniedError("m"), absl::InvalidArgumentError("m"),
        absl::UnavailableError("m")}) {
    frames::Verdict verdict;
    verdict.verdict = std::string(frames::VerdictOf(status));
    verdict.message = std::string(ToStd(status.message()));
    REQUIRE(frames::StatusOf(verdict) == status);
  }
  REQUIRE(frames::VerdictOf(absl::InternalError("")) == "undelivered");
}

TEST_CASE("frames with changed bytes hold the codec's promises",
          "[executors]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 6));
  CAPTURE(seed);
  Rng rng(Seed{seed});
  for (const Frame& frame : Samples()) {
    for (int i = 0; i < 100; ++i) {
      Bytes bytes = frames::Encode(frame);
      for (std::uint64_t n = rng.Below(4); n > 0 && !bytes.empty(); --n) {
        const std::size_t place = rng.Below(bytes.size());
        const char byte = static_cast<char>(rng.Below(256));
        switch (rng.Below(3)) {
          case 0:
            bytes[place] = byte;
            break;
          case 1:
            bytes.insert(place, 1, byte);
            break;
          default:
            bytes.erase(place, 1);
        }
      }
      REQUIRE(
          FrameFuzzOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                            bytes.size()) == 0);
    }
  }
}

}  // namespace
}  // namespace reenact
