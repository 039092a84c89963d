// One world with a reducer of this program and one of a module that it loads;
// then the program that carries out effects. Exits with 0 if both counted right
// and that one did, too.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/reducer.h"
#include "reenact/world/load_module.h"
#include "reenact/world/world.h"

namespace {

absl::Status Count(reenact::StepContext& step) {
  std::int64_t count = 0;
  if (const auto state = step.state()) {
    REENACT_ASSIGN_OR_RETURN(count, reenact::cbor::DecodeInteger(*state));
  }
  step.SetState(reenact::cbor::EncodeInteger(count + 1));
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> Number(const reenact::World& world,
                                    std::string_view reducer) {
  REENACT_ASSIGN_OR_RETURN(const auto state, world.Read(reducer, "it"));
  if (!state) return absl::NotFoundError("no state");
  return reenact::cbor::DecodeInteger(*state);
}

absl::Status RunWorld() {
  reenact::WorldOptions options;
  options.workers = 2;
  REENACT_ASSIGN_OR_RETURN(
      auto counter,
      reenact::MakeModule("counter", "1.0.0",
                          {reenact::MakeReducer("counter", Count)}));
  REENACT_ASSIGN_OR_RETURN(auto doubler, reenact::LoadModule(DOUBLER, {}));
  options.modules.push_back(std::move(counter));
  options.modules.push_back(std::move(doubler));
  REENACT_ASSIGN_OR_RETURN(const auto world,
                           reenact::World::Open(std::move(options)));
  for (int i = 0; i < 11; ++i) {
    for (const char* reducer : {"counter", "doubler"}) {
      reenact::Input input;
      input.event = {reducer, "it", "", reenact::cbor::EncodeInteger(i)};
      REENACT_RETURN_IF_ERROR(world->Submit(std::move(input)).status());
    }
  }
  REENACT_RETURN_IF_ERROR(world->Run());
  REENACT_ASSIGN_OR_RETURN(const std::int64_t counted,
                           Number(*world, "counter"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t doubled,
                           Number(*world, "doubler"));
  std::cout << "counted " << counted << ", doubled " << doubled << "\n";
  if (counted != 11 || doubled != 1024) {
    return absl::InternalError("expected 11 and 1024");
  }
  return world->Close();
}

}  // namespace

int main() {
  const absl::Status status = RunWorld();
  if (status.ok()) {
    const bool carried = std::system(CARRIER) == 0;
    return carried && std::system(SCENARIO " --runs 200 -q") == 0 ? 0 : 1;
  }
  std::cerr << "consumer: " << status.ToString() << "\n";
  return 1;
}
