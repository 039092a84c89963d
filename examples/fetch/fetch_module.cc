#include <memory>

#include "examples/fetch/fetch.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("fetch", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::examples::Page>());
  registry.SetInputMapper(reenact::examples::MapFetchRow);
}
