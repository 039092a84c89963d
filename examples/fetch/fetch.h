// Pages fetched by HTTP, within a budget, each at most once for as long as the
// policy's cache says.
//
//   reenact grant create w grant.json --module fetch     # calls: 100
//   reenact run --module fetch --world w --events urls.jsonl --with-executors
//
// A row is {"url": "http://..."}; {"url": ..., "name": ...} keeps it under
// another key than the URL. What failed is fetched again by the same row.

#ifndef REENACT_EXAMPLES_FETCH_FETCH_H_
#define REENACT_EXAMPLES_FETCH_FETCH_H_

#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// A page, by name. State: {"url", "state": "asked" | "fetched" | "failed",
// "status", "bytes", "cached", "error", "tries"}.
class Page final : public Reducer {
 public:
  std::string_view name() const override { return "page"; }
  absl::Status Step(StepContext& step) const override;
};

absl::StatusOr<std::vector<Input>> MapFetchRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_FETCH_FETCH_H_
