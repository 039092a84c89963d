#include <iostream>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/world/world.h"

using namespace reenact;

int main() {
  auto counter = MakeReducer("counter", [](StepContext& step) {
    const auto state = step.state();
    const auto count = state ? cbor::DecodeInteger(*state).value() : 0;
    step.SetState(cbor::EncodeInteger(count + 1));
    return absl::OkStatus();
  });

  WorldOptions options;
  options.path = "counters";  // a directory: run again, and it counts on
  options.workers = 2;        // any number: it leaves no trace in the journal
  options.modules.push_back(MakeModule("demo", "1", {counter}).value());
  auto world = World::Open(std::move(options)).value();

  Input click;
  click.event = {"counter", "clicks", "", cbor::EncodeInteger(1)};
  for (int i = 0; i < 3; ++i) world->Submit(click).value();
  if (!world->Run().ok()) return 1;  // all committed, all durable

  const auto clicks = world->Read("counter", "clicks").value();
  std::cout << "clicks: " << cbor::Diagnose(*clicks) << "\n";
  return world->Close().ok() ? 0 : 1;
}
