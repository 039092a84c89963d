// A workload as other systems are measured with: reducers, the inputs that set
// a world up, the inputs that are timed, and what must hold at the end.

#ifndef REENACT_BENCH_WORKLOAD_H_
#define REENACT_BENCH_WORKLOAD_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/module.h"
#include "reenact/world/world.h"

namespace reenact::bench {

// Thread safety: none of its own; the module's reducers are as any others.
class Workload {
 public:
  virtual ~Workload() = default;

  // As a line of a table begins: "ycsb, zipf 0.9". Unique among AllWorkloads().
  virtual std::string name() const = 0;

  // The reducers. The same each time, so that worlds of one workload agree.
  virtual Module module() const = 0;

  // What a new world is fed before anything is timed. Positions start at 1.
  // The source may refer to the workload, which must outlive it.
  virtual std::unique_ptr<InputSource> Loading() const = 0;

  // `count` transactions, the same ones each time, to be fed after Loading().
  // Positions go on where those of Loading() ended.
  virtual std::unique_ptr<InputSource> Inputs(std::size_t count) const = 0;

  // Whether what must hold in a world that was fed both does. DataLoss: it does
  // not; the message says what and where.
  virtual absl::Status Check(const World& world) const = 0;
};

// All of them, in the order that they are shown in; with `quick` of sizes that
// prove only that they run.
std::vector<std::unique_ptr<Workload>> AllWorkloads(bool quick);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_WORKLOAD_H_
