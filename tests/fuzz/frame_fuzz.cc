// Any bytes as a stream from an executor: frames that are accepted are those
// that would be written, it does not matter how the stream arrives, and a
// receipt in a frame has one encoding.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/executors/frames.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/receipt.h"
#include "tests/fuzz/targets.h"

namespace {

using reenact::Bytes;
using reenact::BytesView;
namespace frames = reenact::frames;

constexpr std::size_t kFrameBytesMax = 1 << 16;

// The items of a stream that arrives in pieces of `step` bytes, up to the first
// length that is refused.
std::vector<Bytes> Split(BytesView stream, std::size_t step, bool* refused) {
  frames::Splitter splitter(kFrameBytesMax);
  std::vector<Bytes> items;
  *refused = false;
  for (std::size_t at = 0; at < stream.size(); at += step) {
    splitter.Add(stream.substr(at, step));
    REENACT_CHECK(splitter.Begun().size() <= stream.size());
    while (true) {
      const auto item = splitter.Next();
      if (!item.ok()) {
        *refused = true;
        return items;
      }
      if (!item->has_value()) break;
      REENACT_CHECK((*item)->size() <= kFrameBytesMax);
      items.emplace_back(**item);
    }
  }
  return items;
}

void LookAtReceipt(const Bytes& bytes) {
  const auto receipt = reenact::DecodeReceiptUnread(bytes);
  const auto whole = reenact::DecodeReceipt(bytes);
  if (whole.ok()) REENACT_CHECK(receipt.ok() && *receipt == *whole);
  if (!receipt.ok()) return;
  REENACT_CHECK(whole.ok() == reenact::CheckPayload(*receipt).ok());
  Bytes again;
  reenact::cbor::Encoder encoder(&again);
  reenact::EncodeReceipt(*receipt, encoder);
  REENACT_CHECK(again == bytes);
}

void LookAt(const Bytes& item) {
  const auto frame = frames::Decode(item);
  const bool looks = frames::LooksLikeReceipt(item);
  LookAtReceipt(item);
  if (!frame.ok()) return;
  REENACT_CHECK(reenact::cbor::Validate(item).ok());
  REENACT_CHECK(frames::Encode(*frame).substr(4) == item);
  const auto* submit = std::get_if<frames::Submit>(&*frame);
  REENACT_CHECK(looks == (submit != nullptr));
  if (submit) LookAtReceipt(submit->receipt);
}

}  // namespace

extern "C" int FrameFuzzOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView stream(reinterpret_cast<const char*>(data), size);
  bool refused = false;
  const std::vector<Bytes> items =
      Split(stream, std::max<std::size_t>(size, 1), &refused);
  bool refused_bytewise = false;
  REENACT_CHECK(Split(stream, 1, &refused_bytewise) == items);
  REENACT_CHECK(refused == refused_bytewise);
  for (const Bytes& item : items) LookAt(item);
  LookAt(Bytes(stream));
  return 0;
}
