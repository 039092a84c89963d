#include "examples/bank/bank.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("bank", "1.0.0");
  for (auto& reducer : reenact::examples::MakeBankReducers()) {
    registry.AddReducer(reducer);
  }
  registry.SetInputMapper(reenact::examples::MapBankRow);
}
