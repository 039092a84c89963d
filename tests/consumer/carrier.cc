// An executor of this program, a dispatcher, and a door that is no world.
// Exits with 0 if the effect was carried out and its receipt came in.

#include <chrono>
#include <future>
#include <memory>
#include <string_view>
#include <utility>

#include "reenact/executors/dispatcher.h"
#include "reenact/executors/executor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace {

class Echo final : public reenact::Executor {
 public:
  std::string_view kind() const override { return "echo"; }
  reenact::Answer Execute(reenact::Task& task) override {
    return reenact::Answer::Ok(
        reenact::cbor::Value::Parse(task.effect().params).value());
  }
};

class Door final : public reenact::ReceiptSink {
 public:
  absl::Status SubmitReceipt(reenact::Receipt receipt, Done done) override {
    done(absl::OkStatus());
    came_.set_value(std::move(receipt));
    return absl::OkStatus();
  }
  void RefuseReceipt(std::string_view, std::string_view,
                     const reenact::Digest&) override {}
  reenact::Receipt Wait() { return came_.get_future().get(); }

 private:
  std::promise<reenact::Receipt> came_;
};

}  // namespace

int main() {
  Door door;
  reenact::Dispatcher dispatcher;
  if (!dispatcher.Register(std::make_shared<Echo>()).ok()) return 1;
  if (!dispatcher.Start(&door, reenact::Bytes(16, 'w'), 1).ok()) return 1;
  reenact::OpenEffect effect;
  effect.kind = "echo";
  effect.params = reenact::cbor::EncodeText("hello");
  dispatcher.Open(effect);
  const reenact::Receipt receipt = door.Wait();
  const bool right = receipt.status == reenact::ReceiptStatus::kOk &&
                     receipt.payload == effect.params;
  return dispatcher.Stop(std::chrono::seconds(5)).ok() && right ? 0 : 1;
}
