#include <memory>

#include "examples/build/build.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("build", "1.0.0");
  registry.AddReducer(std::make_shared<reenact::examples::Target>());
  registry.SetInputMapper(reenact::examples::MapBuildRow);
}
