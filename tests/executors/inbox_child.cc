// Opens the world at argv[1], takes in its inbox, and exits at the place that
// argv[2] names, as if killed there: "durable" (nothing removed yet), "never".
// Prints what the cell counter/k holds.

#include <unistd.h>

#include <iostream>
#include <string>

#include "reenact/executors/inbox.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/world/world.h"

using namespace reenact;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto counter = MakeReducer("counter", [](StepContext& step) {
    const auto state = step.state();
    const auto count = state ? cbor::DecodeInteger(*state).value() : 0;
    step.SetState(cbor::EncodeInteger(count + 1));
    return absl::OkStatus();
  });
  WorldOptions options;
  options.path = argv[1];
  options.modules.push_back(MakeModule("demo", "1", {counter}).value());
  auto world = World::Open(std::move(options)).value();
  auto inbox = InboxSource::Open(argv[1], world->config()).value();
  // "more" goes on until it is killed.
  do {
    const absl::Status fed = world->Feed(*inbox);
    if (!fed.ok()) {
      std::cerr << fed << "\n";
      return 1;
    }
    if (std::string(argv[2]) == "durable") _exit(137);
    if (const absl::Status gone = inbox->RemoveDelivered(); !gone.ok()) {
      std::cerr << gone << "\n";
      return 1;
    }
  } while (std::string(argv[2]) == "more");
  const auto state = world->Read("counter", "k").value();
  std::cout << (state ? cbor::DecodeInteger(*state).value() : 0) << "\n";
  for (const std::string& name : inbox->refused()) std::cout << name << "\n";
  return world->Close().ok() ? 0 : 1;
}
