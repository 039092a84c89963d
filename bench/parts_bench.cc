// What the parts of the kernel cost, one at a time.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/temporary_directory.h"
#include "reenact/base/check.h"
#include "reenact/journal/block.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/rng.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/workers/cells.h"

namespace reenact {
namespace {

using benchmark::DoNotOptimize;

constexpr std::size_t kRound = 1024;  // tickets, as in Scheduling

std::vector<std::string> MakeKeys(std::size_t count) {
  std::vector<std::string> keys;
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) keys.push_back(std::to_string(i));
  return keys;
}

// --- values ------------------------------------------------------------------

// A map of ten short fields: a typical state.
void EncodeTenFields(Bytes* out) {
  static constexpr std::string_view kNames[] = {"f0", "f1", "f2", "f3", "f4",
                                                "f5", "f6", "f7", "f8", "f9"};
  cbor::Encoder encoder(out);
  encoder.Map(std::size(kNames));
  std::int64_t value = 1;
  for (std::string_view name : kNames) {
    encoder.Text(name);
    encoder.Integer(value *= 7);
  }
}

Bytes TenFields() {
  Bytes item;
  EncodeTenFields(&item);
  return item;
}

void BM_CborEncodeTenFields(benchmark::State& state) {
  Bytes out;
  for (auto _ : state) {
    out.clear();
    EncodeTenFields(&out);
    DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_CborEncodeTenFields);

void BM_CborValidateTenFields(benchmark::State& state) {
  const Bytes item = TenFields();
  for (auto _ : state) DoNotOptimize(cbor::Validate(item).ok());
}
BENCHMARK(BM_CborValidateTenFields);

void BM_CborReadTenFields(benchmark::State& state) {
  const Bytes item = TenFields();
  for (auto _ : state) {
    cbor::Reader reader(item);
    std::int64_t sum = 0;
    const std::uint64_t size = reader.Map();
    for (std::uint64_t i = 0; i < size; ++i) {
      DoNotOptimize(reader.Text());
      sum += reader.Integer();
    }
    DoNotOptimize(sum);
    REENACT_CHECK(reader.ok());
  }
}
BENCHMARK(BM_CborReadTenFields);

void BM_CborTreeOfTenFields(benchmark::State& state) {
  const Bytes item = TenFields();
  for (auto _ : state) {
    const auto value = cbor::Value::Parse(item);
    DoNotOptimize(value->Encode());
  }
}
BENCHMARK(BM_CborTreeOfTenFields);

void BM_CborInteger(benchmark::State& state) {
  for (auto _ : state) {
    DoNotOptimize(*cbor::DecodeInteger(cbor::EncodeInteger(123456)));
  }
}
BENCHMARK(BM_CborInteger);

// --- digests and chance ------------------------------------------------------

void BM_Hash(benchmark::State& state) {
  const Bytes bytes(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) DoNotOptimize(Hash(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Hash)->Arg(64)->Arg(200)->Arg(100'000);

void BM_StepSeed(benchmark::State& state) {
  const Digest seed = Hash("seed");
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    DoNotOptimize(StepSeed(seed, EventId{++ticket}, "counter", "clicks"));
  }
}
BENCHMARK(BM_StepSeed);

void BM_RngNext(benchmark::State& state) {
  Rng rng(Seed{1});
  for (auto _ : state) DoNotOptimize(rng.Next());
}
BENCHMARK(BM_RngNext);

// --- sequencer ---------------------------------------------------------------

// A round's worth of units admitted and composed; time is that of one unit.
void BM_SequencerAdmitCompose(benchmark::State& state) {
  const auto keys = MakeKeys(static_cast<std::size_t>(state.range(0)));
  const bool with_ids = state.range(1) != 0;
  Sequencer sequencer{Scheduling{}};
  std::vector<Unit*> units;
  std::uint64_t admitted = 0;
  EventId next{1};
  for (auto _ : state) {
    for (std::size_t i = 0; i < kRound; ++i) {
      Unit* unit = sequencer.NewUnit();
      unit->reducer = 0;
      unit->key = keys[++admitted * 7919 % keys.size()];
      unit->payload = "\x01";
      unit->cause.input = InputId{admitted};
      const std::string id = with_ids ? std::to_string(admitted) : "";
      sequencer.Admit(unit, id, next);
    }
    while (sequencer.external_count() > 0) {
      sequencer.Compose(sequencer.next_number(), LogicalTime{}, next, &units);
      next.value += units.size();
      for (Unit* unit : units) sequencer.Recycle(unit);
      units.clear();
    }
    DoNotOptimize(units.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(admitted));
}
BENCHMARK(BM_SequencerAdmitCompose)
    ->ArgNames({"cells", "submission_ids"})
    ->Args({1, 0})
    ->Args({1000, 0})
    ->Args({100'000, 0})
    ->Args({100'000, 1});

// --- cells -------------------------------------------------------------------

// No cell is anywhere but in the table.
class NoCells final : public CellSource {
 public:
  absl::StatusOr<std::optional<Stored>> Load(ReducerId,
                                             std::string_view) override {
    return std::nullopt;
  }
  absl::Status Scan(ReducerId, std::string_view, std::string_view,
                    const std::function<absl::Status(std::string_view, EventId,
                                                     BytesView)>&) override {
    return absl::OkStatus();
  }
};

constexpr std::size_t kWindow = 256;

void BM_CellFind(benchmark::State& state) {
  const auto keys = MakeKeys(static_cast<std::size_t>(state.range(0)));
  NoCells source;
  CellTable cells(&source, 1 << 30, kWindow);
  std::uint64_t ticket = 0;
  for (const std::string& key : keys) cells.Find(0, key, EventId{++ticket});
  for (auto _ : state) {
    ++ticket;
    const std::string& key = keys[ticket * 7919 % keys.size()];
    DoNotOptimize(cells.Find(0, key, EventId{ticket}));
  }
}
BENCHMARK(BM_CellFind)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

// Find, load, publish, and freeing what was replaced.
void BM_CellFindPublish(benchmark::State& state) {
  const auto keys = MakeKeys(static_cast<std::size_t>(state.range(0)));
  NoCells source;
  CellTable cells(&source, 1 << 30, kWindow);
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    ++ticket;
    const std::string& key = keys[ticket * 7919 % keys.size()];
    Cell* cell = cells.Find(0, key, EventId{ticket});
    DoNotOptimize(cells.Load(cell));
    MutexLock lock(cells.exclusive());
    cells.Publish(cell, Version::New(ticket * 2, "\x01"), EventId{ticket},
                  Round{ticket / kRound + 1});
    if (ticket % kRound == 0) {
      cells.changed()->clear();
      cells.Advance(EventId{ticket}, EventId{ticket});
    }
  }
}
BENCHMARK(BM_CellFindPublish)->Arg(1)->Arg(1000)->Arg(100'000);

// --- journal -----------------------------------------------------------------

void BM_EncodeStepEntries(benchmark::State& state) {
  const Bytes item = cbor::EncodeInteger(123456);
  std::uint64_t ticket = 0;
  Cause cause;
  Bytes out;
  for (auto _ : state) {
    if (++ticket % kRound == 0) out.clear();
    cause.input = InputId{ticket};
    EncodeStepScheduled(EventId{ticket}, LaneId{}, UnitKind::kEvent, 0,
                        "clicks", cause, &out);
    EncodeStepCommittedHead(EventId{ticket}, LaneId{}, 1, 0, 0, &out);
    BeginGroup(StepGroup::kDiffs, 1, &out);
    EncodePut(true, 0, "", item, &out);
    DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_EncodeStepEntries);

void BM_EncodeInputAdmitted(benchmark::State& state) {
  entry::InputAdmitted input;
  input.key = "clicks";
  input.payload = cbor::EncodeInteger(1);
  Bytes out;
  for (auto _ : state) {
    input.position = ++input.input.value;
    if (input.position % kRound == 0) out.clear();
    EncodeEntry(input, &out);
    DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_EncodeInputAdmitted);

// The entries of a round of counter steps.
Bytes RoundEntries() {
  Bytes out;
  for (std::uint64_t i = 1; i <= kRound; ++i) {
    entry::StepCommitted step;
    step.event_id = EventId{i};
    step.diffs.emplace_back();
    step.diffs[0].state = cbor::EncodeInteger(123456);
    EncodeEntry(step, &out);
  }
  return out;
}

void BM_DecodeStepEntries(benchmark::State& state) {
  const Bytes entries = RoundEntries();
  std::int64_t decoded = 0;
  for (auto _ : state) {
    for (cbor::Reader reader(entries); !reader.AtEnd(); ++decoded) {
      DoNotOptimize(DecodeEntry(reader).value());
    }
  }
  state.SetItemsProcessed(decoded);
}
BENCHMARK(BM_DecodeStepEntries);

BlockHeader HeaderOf(std::uint64_t index) {
  BlockHeader header;
  header.index = index;
  header.round = Round{index};
  header.first = EventId{index * kRound + 1};
  header.ticket_count = kRound;
  header.entry_count = 2 * kRound;
  return header;
}

void BM_EncodeBlock(benchmark::State& state) {
  const Bytes entries(static_cast<std::size_t>(state.range(0)), 'x');
  Digest hash;
  for (auto _ : state) {
    DoNotOptimize(EncodeBlock(HeaderOf(1), entries, &hash));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_EncodeBlock)->Arg(1000)->Arg(100'000);

// One group of one block of a thousand tickets that changed as many cells.
void CommitGroups(benchmark::State& state, Store& store, bool sync) {
  const auto keys = MakeKeys(100'000);
  const Bytes entries(60 * kRound, 'x');
  const Bytes item = cbor::EncodeInteger(123456);
  std::uint64_t index = 0;
  std::uint64_t ticket = 0;
  Digest hash;
  for (auto _ : state) {
    CellBatch cells;
    for (std::size_t i = 0; i < kRound; ++i) {
      ++ticket;
      const std::string& key = keys[ticket * 7919 % keys.size()];
      cells.Add(0, key, EventId{ticket}, item);
    }
    CommitGroup group;
    group.first_index = index;
    group.blocks.push_back(EncodeBlock(HeaderOf(index), entries, &hash));
    group.cells.push_back(&cells);
    REENACT_CHECK(store.Commit(group, sync).ok());
    ++index;
  }
  REENACT_CHECK(store.Close().ok());
  state.SetItemsProcessed(static_cast<std::int64_t>(ticket));
}

void BM_MemoryCommit(benchmark::State& state) {
  CommitGroups(state, *NewMemoryStore(), false);
}
// Nothing is thrown away, so no more than this.
BENCHMARK(BM_MemoryCommit)->Iterations(300);

void BM_RocksDbCommit(benchmark::State& state) {
  const bench::TemporaryDirectory directory;
  RocksDbOptions options;
  options.create = true;
  auto store = OpenRocksDbStore(directory.path() / "db", options);
  REENACT_CHECK(store.ok());
  CommitGroups(state, **store, state.range(0) != 0);
}
BENCHMARK(BM_RocksDbCommit)
    ->ArgName("sync")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(300)
    ->UseRealTime();

}  // namespace
}  // namespace reenact

BENCHMARK_MAIN();
