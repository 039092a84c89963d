// An executor that says what a test wants it to say.

#ifndef REENACT_TESTS_EXECUTORS_RAW_EXECUTOR_H_
#define REENACT_TESTS_EXECUTORS_RAW_EXECUTOR_H_

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/executors/channel.h"
#include "reenact/executors/frames.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {

class RawExecutor {
 public:
  // The path has to be listened at.
  explicit RawExecutor(const std::string& path, std::string name = "raw")
      : name_(std::move(name)), channel_(ConnectTo(path).value(), 1 << 24) {}

  const std::string& name() const { return name_; }
  int fd() const { return channel_.fd(); }

  void SendBytes(BytesView bytes) {
    channel_.Put(bytes, Now());
    // What the other side no longer takes in is lost.
    while (channel_.unsent() > 0 && channel_.Flush(Now()).ok()) {
      if (channel_.unsent() > 0) Wait(POLLOUT);
    }
  }
  void Send(const frames::Frame& frame) { SendBytes(frames::Encode(frame)); }
  void Hello(std::string kind, std::uint64_t concurrency = 1) {
    Send(frames::Hello{{1}, name_, {std::move(kind)}, concurrency});
  }
  void SendReceipt(const Receipt& receipt) {
    frames::Submit submit;
    cbor::Encoder encoder(&submit.receipt);
    EncodeReceipt(receipt, encoder);
    Send(submit);
  }

  // The next frame of this type; others stay. Nothing at the end.
  template <typename T>
  std::optional<T> Next() {
    for (std::size_t i = 0;; ++i) {
      if (i == passed_over_.size()) {
        auto frame = Receive();
        if (!frame) return std::nullopt;
        passed_over_.push_back(*std::move(frame));
      }
      if (!std::holds_alternative<T>(passed_over_[i])) continue;
      T it = std::get<T>(std::move(passed_over_[i]));
      passed_over_.erase(passed_over_.begin() + static_cast<std::ptrdiff_t>(i));
      return it;
    }
  }
  // Whether nothing but the end comes next.
  bool HasEnded() { return !Receive().has_value(); }

  // Claims what is offered next.
  std::optional<frames::Granted> Claim() {
    const auto offer = Next<frames::Offer>();
    if (!offer) return std::nullopt;
    Send(frames::Claim{offer->effect.intent_hash});
    return Next<frames::Granted>();
  }
  Receipt ReceiptFor(const frames::Granted& granted) const {
    Receipt receipt;
    receipt.intent_hash = granted.intent;
    receipt.executor = name_;
    receipt.lease_epoch = granted.epoch;
    return receipt;
  }

 private:
  std::optional<frames::Frame> Receive() {
    while (true) {
      const auto item = channel_.Next();
      if (!item.ok()) return std::nullopt;
      if (item->has_value()) return frames::Decode(**item).value();
      Wait(POLLIN);
      if (!channel_.Fill(Now()).ok()) return std::nullopt;
    }
  }
  static Channel::Time Now() { return std::chrono::steady_clock::now(); }
  void Wait(short events) {
    pollfd waiting{channel_.fd(), events, 0};
    poll(&waiting, 1, -1);
  }

  const std::string name_;
  Channel channel_;
  std::vector<frames::Frame> passed_over_;
};

}  // namespace reenact

#endif  // REENACT_TESTS_EXECUTORS_RAW_EXECUTOR_H_
