#include "bench/targets.h"

#include <algorithm>

#include "bench/statistics.h"

namespace reenact::bench {
namespace {

constexpr std::string_view kTimes = "×";

std::vector<Target> MakeTargets() {
  constexpr Better kMore = Better::kMore, kLess = Better::kLess;
  return {
      {"parallel ÷ serial, 100 µs, uniform",
       1.93,
       1.98,
       kTimes,
       kMore,
       {"parallel.memory.uniform.100us.2"},
       "--only parallel"},
      {"parallel ÷ serial, 10 µs, uniform",
       1.8,
       1.93,
       kTimes,
       kMore,
       {"parallel.memory.uniform.10us.2"},
       "--only parallel"},
      {"parallel ÷ serial, 1 µs, uniform",
       1.5,
       1.8,
       kTimes,
       kMore,
       {"parallel.memory.uniform.1us.2"},
       "--only parallel"},
      {"parallel ÷ serial, all on one cell, any reducer",
       0.95,
       0.98,
       kTimes,
       kMore,
       {"parallel.memory.one.0us.2", "parallel.memory.one.1us.2",
        "parallel.memory.one.10us.2", "parallel.memory.one.100us.2"},
       "--only parallel"},
      {"parallel ÷ serial, 0 µs, uniform",
       0.95,
       1.1,
       kTimes,
       kMore,
       {"parallel.memory.uniform.0us.2"},
       "--only parallel"},
      {"parallel ÷ serial, 10 µs, 50 % undeclared foreign reads",
       1.6,
       1.9,
       kTimes,
       kMore,
       {"parallel.memory.foreign50.10us.2"},
       "--only parallel"},
      {"parallel ÷ serial, declared transfers, 2 to 10,000 accounts",
       0.95,
       1,
       kTimes,
       kMore,
       {"workloads.transfers-2-accounts.2.ratio",
        "workloads.transfers-10-accounts.2.ratio",
        "workloads.transfers-100-accounts.2.ratio",
        "workloads.transfers-1000-accounts.2.ratio",
        "workloads.transfers-10000-accounts.2.ratio"},
       "--only workloads"},
      {"parallel ÷ serial, each workload beside a busy neighbour",
       0.9,
       1,
       kTimes,
       kMore,
       {"neighbour.ycsb-zipf-0.2.ratio", "neighbour.ycsb-zipf-0.9.2.ratio",
        "neighbour.tpc-c-4-warehouses.2.ratio",
        "neighbour.transfers-2-accounts.2.ratio",
        "neighbour.transfers-10-accounts.2.ratio",
        "neighbour.transfers-100-accounts.2.ratio",
        "neighbour.transfers-1000-accounts.2.ratio",
        "neighbour.transfers-10000-accounts.2.ratio"},
       "--only neighbour"},
      {"serial, trivial, sync every block ÷ packed RocksDB writes of the same "
       "bytes",
       0.5,
       0.8,
       kTimes,
       kMore,
       {"durable.every-block.rocksdb-round"},
       "--only durable"},
      {"serial, trivial, sync every block",
       400'000,
       800'000,
       "tickets/s",
       kMore,
       {"durable.every-block.rate"},
       "--only durable"},
      {"serial, trivial, without sync",
       700'000,
       1'500'000,
       "tickets/s",
       kMore,
       {"durable.none.rate"},
       "--only durable"},
      {"replay-apply ÷ live, durable and serial, trivial",
       4,
       10,
       kTimes,
       kMore,
       {"replay.0us.apply"},
       "--only replay"},
      {"replay-verify ÷ live, durable and serial, trivial",
       1.3,
       2,
       kTimes,
       kMore,
       {"replay.0us.verify"},
       "--only replay"},
      {"open after a crash, 10 M tickets, default snapshots",
       5,
       1,
       "s",
       kLess,
       {"replay.crash.open-10m"},
       "--only replay --big"},
      {"one client, submit to durable, p50 ÷ one synced append",
       3,
       1.5,
       kTimes,
       kLess,
       {"latency.one-client.p50-ratio"},
       "--only latency"},
      {"open loop at 50 % load, submit to durable, p99",
       5,
       1,
       "ms",
       kLess,
       {"latency.open-50.p99"},
       "--only latency"},
      {"durable keyed increments, 32 submitters, each waits for its last",
       100'000,
       300'000,
       "/s",
       kMore,
       {"latency.increments.closed"},
       "--only latency"},
      {"durable keyed increments, 32 submitters, pipelined",
       100'000,
       300'000,
       "/s",
       kMore,
       {"latency.increments.pipelined"},
       "--only latency"},
      {"journal bytes per counter ticket",
       200,
       100,
       "bytes",
       kLess,
       {"memory.journal.uniform", "memory.journal.one"},
       "--only memory"},
      {"kernel instructions per trivial ticket, serial, in memory",
       3'000,
       1'000,
       "instructions",
       kLess,
       {"instructions.serial"},
       "counted, not timed: --counts bench/baseline.json"},
  };
}

bool Reaches(double value, double limit, Better better) {
  return better == Better::kLess ? value <= limit : value >= limit;
}

Verdict VerdictOf(const Target& target, double seen) {
  if (Reaches(seen, target.aim, target.better)) return Verdict::kAim;
  if (Reaches(seen, target.at_least, target.better)) return Verdict::kMet;
  return Verdict::kMissed;
}

const Figure* Find(std::string_view id, const std::vector<Figure>& figures) {
  const auto found =
      std::find_if(figures.begin(), figures.end(),
                   [id](const Figure& figure) { return figure.id == id; });
  return found == figures.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<Target>& AllTargets() {
  static const auto* targets = new std::vector<Target>(MakeTargets());
  return *targets;
}

std::string_view VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAim:
      return "aim reached";
    case Verdict::kMet:
      return "met";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kNotMeasured:
      return "not measured";
  }
  return "";
}

Judged Judge(const Target& target, const std::vector<Figure>& figures) {
  Judged judged;
  judged.target = &target;
  for (const std::string_view id : target.figures) {
    const Figure* figure = Find(id, figures);
    if (figure == nullptr) {
      judged.partly = true;
      continue;
    }
    const double value = Median(figure->values);
    if (judged.seen && Reaches(value, *judged.seen, target.better)) continue;
    judged.seen = value;
    judged.figure = figure;
  }
  if (!judged.seen) {
    judged.partly = false;
    return judged;
  }
  judged.verdict = VerdictOf(target, *judged.seen);
  return judged;
}

const Target* TargetOf(std::string_view figure) {
  for (const Target& target : AllTargets()) {
    const auto& ids = target.figures;
    if (std::find(ids.begin(), ids.end(), figure) != ids.end()) return &target;
  }
  return nullptr;
}

}  // namespace reenact::bench
