// Modules with one mistake each; BAD_... says which.

#include <stdexcept>

#include "reenact/kernel/module.h"

#if defined(BAD_NO_SYMBOL)

extern "C" int reenact_something_else() { return 1; }

#elif defined(BAD_ABI)

extern "C" std::uint32_t reenact_module_abi() {
  return reenact::kModuleAbiVersion + 1;
}
extern "C" void reenact_module_register(reenact::ModuleRegistry*) {
  throw std::logic_error("called in spite of its version");
}

#else

REENACT_MODULE(registry) {
  const auto nothing = [](reenact::StepContext&) { return absl::OkStatus(); };
#if !defined(BAD_UNNAMED)
  registry.SetName("bad", "1.0.0");
#endif
#if defined(BAD_UNNAMED)
  registry.AddReducer(reenact::MakeReducer("one", nothing));
#elif defined(BAD_THROWS)
  throw std::runtime_error("out of luck");
#elif defined(BAD_DUPLICATE)
  registry.AddReducer(reenact::MakeReducer("one", nothing));
  registry.AddReducer(reenact::MakeReducer("one", nothing));
#elif defined(BAD_NAME)
  registry.AddReducer(reenact::MakeReducer("one two", nothing));
#elif defined(BAD_TWO_NAMES)
  registry.SetName("worse", "1.0.0");
  registry.AddReducer(reenact::MakeReducer("one", nothing));
#elif defined(BAD_NULL)
  registry.AddReducer(nullptr);
#endif
  static_cast<void>(nothing);
}

#endif
