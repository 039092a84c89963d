// One path through the kernel, taken by a given number of tickets, and nothing
// else: what tools/instructions counts the instructions of.
//
//   reenact-paths PATH TICKETS
//       serial, parallel, foreign, cold, source
//   reenact-paths PATH DIRECTORY
//       apply, apply-cells, verify: of a history
//   reenact-paths make DIRECTORY TICKETS
//       makes one
//   reenact-paths compiler
//       prints what it was built with
//
// A path's cost per ticket is the difference between a long and a short run,
// divided by the difference in tickets, so that starting up drops out. Nothing
// here depends on time, and what has an order drawn at random is drawn from a
// fixed seed, so a program counts the same each time.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/block.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/replay/replay.h"
#include "reenact/workers/pool.h"
#include "reenact/world/forward.h"
#include "reenact/world/world_internal.h"

namespace reenact::bench {
namespace {

constexpr std::uint64_t kWarmCells = 1'000;
constexpr std::uint64_t kColdCells = 100'000;
constexpr std::uint64_t kSchedule = 1;  // what the shuffled pool draws from

// --- what runs ---------------------------------------------------------------

absl::StatusOr<std::int64_t> CountIn(std::optional<BytesView> state) {
  if (!state) return 0;
  return cbor::DecodeInteger(*state);
}

class Counter final : public Reducer {
 public:
  std::string_view name() const override { return "counter"; }
  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const std::int64_t count, CountIn(step.state()));
    step.SetState(cbor::EncodeInteger(count + 1));
    return absl::OkStatus();
  }
};

// Counts what another cell has counted, too, and does not say so beforehand.
class Onlooker final : public Reducer {
 public:
  std::string_view name() const override { return "onlooker"; }
  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const std::string other,
                             cbor::DecodeText(step.payload()));
    REENACT_ASSIGN_OR_RETURN(const std::int64_t count, CountIn(step.state()));
    REENACT_ASSIGN_OR_RETURN(const std::int64_t seen,
                             CountIn(step.Read(name(), other)));
    step.SetState(cbor::EncodeInteger(count + 1 + seen % 2));
    return absl::OkStatus();
  }
};

absl::StatusOr<Module> PathsModule() {
  return MakeModule(
      "paths", "1",
      {std::make_shared<Counter>(), std::make_shared<Onlooker>()});
}

// The finalizer of splitmix64: neighbours are strangers.
std::uint64_t Mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Goes to each of `cells` once, scattered, and to cells at random from then on.
// Everything that an input needs is there beforehand, so that making one is
// little more than copying it.
class PathSource final : public InputSource {
 public:
  PathSource(std::string_view reducer, std::uint64_t cells,
             std::uint64_t tickets)
      : reducer_(reducer), tickets_(tickets) {
    for (std::uint64_t i = 0; i < cells; ++i) {
      keys_.push_back("c" + std::to_string(i));
      payloads_.push_back(
          reducer == "onlooker"
              ? cbor::EncodeText("c" + std::to_string(Mix(i) % cells))
              : cbor::EncodeInteger(1));
    }
  }

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ == tickets_) return false;
    Input& input = row->emplace_back();
    input.event.reducer = reducer_;
    input.event.key = keys_[Cell()];
    input.event.payload = payloads_[Mix(next_) % payloads_.size()];
    input.position = ++next_;
    return true;
  }

 private:
  std::uint64_t Cell() const {
    constexpr std::uint64_t kPrime = 2'654'435'761;  // shares no factor
    return (next_ < keys_.size() ? next_ * kPrime : Mix(~next_)) % keys_.size();
  }

  const std::string reducer_;
  const std::uint64_t tickets_;
  std::vector<std::string> keys_;
  std::vector<Bytes> payloads_;
  std::uint64_t next_ = 0;
};

// --- live paths --------------------------------------------------------------

struct LivePath {
  std::string_view name;
  std::string_view reducer;
  std::uint64_t cells;
  bool parallel;
};
constexpr LivePath kLivePaths[] = {
    {"serial", "counter", kWarmCells, false},
    // What two threads would do, on one: issued, linked to predecessors,
    // claimed, run and validated, in an order that is the same each time.
    {"parallel", "counter", kWarmCells, true},
    {"foreign", "onlooker", kWarmCells, true},
    // Each ticket's cell is a new one.
    {"cold", "counter", kColdCells, false},
};

absl::Status RunLive(const LivePath& path, std::uint64_t tickets) {
  WorldOptions options;
  REENACT_ASSIGN_OR_RETURN(Module module, PathsModule());
  options.modules.push_back(std::move(module));
  WorldInternals internals;
  if (path.parallel) {
    internals.pool = NewShuffledPool(kSchedule);
    internals.never_inline = true;
  }
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           OpenWorld(std::move(options), std::move(internals)));
  PathSource source(path.reducer, path.cells, tickets);
  REENACT_RETURN_IF_ERROR(world->Feed(source));
  if (world->stats().committed != tickets) {
    return absl::InternalError("not every step was committed");
  }
  return world->Close();
}

absl::Status RunSource(std::uint64_t tickets) {
  PathSource source("counter", kWarmCells, tickets);
  std::vector<Input> row;
  for (;;) {
    REENACT_ASSIGN_OR_RETURN(const bool more, source.Next(&row));
    if (!more) return absl::OkStatus();
    row.clear();
  }
}

// --- recorded histories ------------------------------------------------------

// A history is a world, and its blocks once more as a CBOR sequence of byte
// strings: `apply` is about applying them, not about finding them in RocksDB.
struct History {
  explicit History(const std::filesystem::path& directory)
      : world(directory / "world"), blocks(directory / "blocks") {}
  std::filesystem::path world, blocks;
};

absl::Status CopyBlocks(const History& history) {
  RocksDbOptions options;
  options.read_only = true;
  REENACT_ASSIGN_OR_RETURN(
      std::unique_ptr<Store> store,
      OpenRocksDbStore(WorldPaths(history.world).db, options));
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  REENACT_RETURN_IF_ERROR(
      store->ScanBlocks(0, [&encoder](std::uint64_t, BytesView stored) {
        encoder.ByteString(stored);
        return absl::OkStatus();
      }));
  std::ofstream out(history.blocks, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) return absl::UnavailableError("cannot write the blocks");
  return store->Close();
}

absl::Status MakeHistory(const History& history, std::uint64_t tickets) {
  std::filesystem::create_directories(history.world);
  WorldOptions options;
  options.path = history.world;
  REENACT_ASSIGN_OR_RETURN(Module module, PathsModule());
  options.modules.push_back(std::move(module));
  {
    REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                             World::Open(options));
    PathSource source("counter", kWarmCells, tickets);
    REENACT_RETURN_IF_ERROR(world->Feed(source));
    REENACT_RETURN_IF_ERROR(world->Close());
  }
  // Opened again RocksDB makes tables of its log. How often the log has a cell
  // depends on how many rounds shared a write, and that on time.
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           World::Open(std::move(options)));
  REENACT_RETURN_IF_ERROR(world->Close());
  return CopyBlocks(history);
}

// The blocks of a history and, in memory, cells that are as of its beginning
// or, so that none are to be written, as of its end.
class HistoryStore final : public Store {
 public:
  HistoryStore(std::vector<BytesView> blocks, bool has_cells)
      : blocks_(std::move(blocks)),
        through_(has_cells ? blocks_.size() : 1),
        cells_(NewMemoryStore()) {}

  absl::Status Commit(const CommitGroup& group, bool) override {
    through_ = group.first_index + group.blocks.size();
    CommitGroup cells;
    cells.cells = group.cells;
    return cells_->Commit(cells, false);
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  std::uint64_t block_count() const override { return blocks_.size(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    if (index >= blocks_.size()) return absl::OutOfRangeError("no such block");
    return Bytes(blocks_[index]);
  }
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t, BytesView)>& visit)
      const override {
    for (std::uint64_t i = from; i < blocks_.size(); ++i) {
      REENACT_RETURN_IF_ERROR(visit(i, blocks_[i]));
    }
    return absl::OkStatus();
  }
  std::uint64_t cells_through() const override { return through_; }
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override {
    return cells_->ReadCell(reducer, key);
  }
  absl::StatusOr<Bytes> ReadOpenWork() const override { return Bytes(); }
  std::unique_ptr<CellView> View() const override { return cells_->View(); }
  absl::Status ClearCells() override { return cells_->ClearCells(); }
  absl::Status CutBlocks(std::uint64_t) override {
    return absl::UnimplementedError("this history stays as it is");
  }
  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    return {};
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const std::vector<BytesView> blocks_;
  std::uint64_t through_;
  const std::unique_ptr<Store> cells_;
};

absl::StatusOr<Checkpoint> AfterGenesis(BytesView stored) {
  REENACT_ASSIGN_OR_RETURN(const BlockView block, DecodeBlock(stored));
  cbor::Reader reader(block.entries);
  REENACT_ASSIGN_OR_RETURN(const Entry entry, DecodeEntry(reader));
  const auto* genesis = std::get_if<entry::Genesis>(&entry);
  if (genesis == nullptr) return absl::DataLossError("there is no Genesis");
  Checkpoint place;
  place.config = genesis->config;
  place.block_count = 1;
  place.block_hash = block.hash;
  return place;
}

absl::Status ApplyHistory(const History& history, bool has_cells) {
  std::error_code error;
  const auto size = std::filesystem::file_size(history.blocks, error);
  if (error) return absl::NotFoundError("there is no such history");
  Bytes bytes(size, '\0');
  std::ifstream in(history.blocks, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return absl::UnavailableError("cannot read the blocks");
  std::vector<BytesView> blocks;
  cbor::Reader reader(bytes);
  while (!reader.AtEnd()) blocks.push_back(reader.ByteString());
  REENACT_RETURN_IF_ERROR(reader.status());
  if (blocks.empty()) return absl::NotFoundError("there is no such history");
  REENACT_ASSIGN_OR_RETURN(Checkpoint place, AfterGenesis(blocks.front()));
  const std::uint64_t count = blocks.size();
  HistoryStore store(std::move(blocks), has_cells);
  return FastForward(&store, count, &place);
}

absl::Status VerifyHistory(const History& history) {
  VerifyOptions options;
  options.path = history.world;
  REENACT_ASSIGN_OR_RETURN(Module module, PathsModule());
  options.modules.push_back(std::move(module));
  options.run_twice = false;
  options.threads = 1;  // how fast each of several is would count, too
  REENACT_ASSIGN_OR_RETURN(const VerifyReport report, Verify(options));
  if (report.verdict == Verdict::kIdentical) return absl::OkStatus();
  return absl::InternalError(std::string(VerdictName(report.verdict)) + ": " +
                             report.problem);
}

// --- the command line --------------------------------------------------------

constexpr const char* kUsage =
    "usage: reenact-paths serial|parallel|foreign|cold|source TICKETS\n"
    "       reenact-paths apply|apply-cells|verify DIRECTORY\n"
    "       reenact-paths make DIRECTORY TICKETS\n"
    "       reenact-paths compiler\n";

std::optional<std::uint64_t> ParseTickets(std::string_view text) {
  std::uint64_t tickets = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, tickets);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (tickets == 0 || tickets > kColdCells) return std::nullopt;
  return tickets;
}

// Nullopt: this is not how it is called.
std::optional<absl::Status> Run(const std::vector<std::string_view>& args) {
  if (args.size() == 3 && args[0] == "make") {
    const auto tickets = ParseTickets(args[2]);
    if (!tickets) return std::nullopt;
    return MakeHistory(History(args[1]), *tickets);
  }
  if (args.size() != 2) return std::nullopt;
  if (args[0] == "apply") return ApplyHistory(History(args[1]), true);
  if (args[0] == "apply-cells") return ApplyHistory(History(args[1]), false);
  if (args[0] == "verify") return VerifyHistory(History(args[1]));
  const auto tickets = ParseTickets(args[1]);
  if (!tickets) return std::nullopt;
  if (args[0] == "source") return RunSource(*tickets);
  for (const LivePath& path : kLivePaths) {
    if (path.name == args[0]) return RunLive(path, *tickets);
  }
  return std::nullopt;
}

}  // namespace
}  // namespace reenact::bench

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  if (args.size() == 1 && args[0] == "compiler") {
#ifdef __clang__
    std::puts("clang " __clang_version__);
#else
    std::puts("g++ " __VERSION__);
#endif
    return 0;
  }
  const std::optional<absl::Status> status = reenact::bench::Run(args);
  if (!status) {
    std::fputs(reenact::bench::kUsage, stderr);
    return 2;
  }
  if (status->ok()) return 0;
  std::fprintf(stderr, "reenact-paths: %s\n", status->ToString().c_str());
  return 1;
}
