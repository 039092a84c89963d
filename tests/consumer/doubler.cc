// A module: its one reducer doubles a number.

#include <cstdint>
#include <memory>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("doubler", "1.0.0");
  registry.AddReducer(
      reenact::MakeReducer("doubler", [](reenact::StepContext& step) {
        std::int64_t number = 1;
        if (const auto state = step.state()) {
          const auto decoded = reenact::cbor::DecodeInteger(*state);
          if (!decoded.ok()) return decoded.status();
          number = *decoded * 2;
        }
        step.SetState(reenact::cbor::EncodeInteger(number));
        return absl::OkStatus();
      }));
}
