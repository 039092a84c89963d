// Two clients add to one sum: twenty lines that run under any schedule.

#include <string>

#include "reenact/harness/main.h"
#include "reenact/kernel/cbor/cbor.h"

using namespace reenact;

static void Sums(harness::Case& run) {
  run.UseModule(*MakeModule(
      "sums", "1", {MakeReducer("sum", [](StepContext& s) {
        const auto sum = s.state();
        const auto before = sum ? cbor::DecodeInteger(*sum).value_or(0) : 0;
        s.SetState(cbor::EncodeInteger(before + 1));
        return absl::OkStatus();
      })}));
  for (int i = 0; i < 2; ++i) {
    run.AddClient("adder", [](harness::Client& client) {
      (void)client.Submit(
          {.event = {"sum", "all", "", cbor::EncodeInteger(1)}});
    });
  }
  run.AddInvariant("at most one for each client", [](const World& world) {
    const auto sum = world.Read("sum", "all");
    if (!sum.ok() || !sum->has_value()) return sum.status();
    return cbor::Reader(**sum).Integer() <= 2
               ? absl::OkStatus()
               : absl::InternalError("the sum is off");
  });
}

REENACT_HARNESS_MAIN("sums", Sums)
