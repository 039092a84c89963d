#include <memory>

#include "examples/counter/counter.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("counter", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::examples::Counter>());
  registry.SetInputMapper(reenact::examples::MapCounterRow);
}
