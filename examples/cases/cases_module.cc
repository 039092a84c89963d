#include "examples/cases/cases.h"
#include "reenact/kernel/module.h"

REENACT_MODULE(registry) {
  registry.SetName("cases", "1.0.0");
  for (auto& reducer : reenact::examples::MakeCasesReducers()) {
    registry.AddReducer(reducer);
  }
  registry.SetInputMapper(reenact::examples::MapCaseRow,
                          reenact::RowTime::kSet);
}
