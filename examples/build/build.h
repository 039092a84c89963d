// A small build: targets that run a program once what they need is built, with
// the digests of what went in and came out on record.
//
//   reenact run --module build --world w --events targets.jsonl
//   --with-executors
//
// A row is a target: {"target": "app", "needs": ["a.o", "b.o"], "argv": ["cc",
// "-o", "app", "a.o", "b.o"], "cwd": "/home/ann/demo", "inputs": ["a.o",
// "b.o"], "outputs": ["app"]}. Rows may come in any order. After a crash the
// same command goes on: what has its receipt is not run again.

#ifndef REENACT_EXAMPLES_BUILD_BUILD_H_
#define REENACT_EXAMPLES_BUILD_BUILD_H_

#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

// A target, by name. State: {"state": "unknown" | "waiting" | "running" |
// "built" | "failed", "waits": [targets], "wanted": [targets that wait for it],
// "files": {name: digest in hex}, "why", and the row}.
class Target final : public Reducer {
 public:
  std::string_view name() const override { return "target"; }
  absl::Status Step(StepContext& step) const override;
};

absl::StatusOr<std::vector<Input>> MapBuildRow(const cbor::Value& row);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_BUILD_BUILD_H_
