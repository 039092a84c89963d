#include <memory>

#include "examples/saga/saga.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("saga", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::examples::Trip>());
  registry.SetInputMapper(reenact::examples::MapSagaRow);
}
