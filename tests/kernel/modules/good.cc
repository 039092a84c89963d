// A module as it should be, with its reducers out of order.

#include "reenact/kernel/module.h"

namespace {

absl::Status Nothing(reenact::StepContext&) { return absl::OkStatus(); }

absl::StatusOr<std::vector<reenact::Input>> Map(const reenact::cbor::Value&) {
  return std::vector<reenact::Input>(1);
}

}  // namespace

REENACT_MODULE(registry) {
  registry.SetName("good", "1.0.0");
  registry.AddReducer(reenact::MakeReducer("second", Nothing));
  registry.AddReducer(reenact::MakeReducer("first", Nothing));
  registry.SetInputMapper(Map);
}
