#include <memory>

#include "examples/packages/packages.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("packages", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::examples::PackageReducer>());
  registry.SetInputMapper(reenact::examples::MapPackageRow,
                          reenact::RowTime::kSet);
}
