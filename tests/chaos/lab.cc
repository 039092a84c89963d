#include "tests/chaos/lab.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <utility>

#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/replay/replay.h"
#include "tests/chaos/scratch.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

absl::Status RunSession(const Workload& workload, const std::string& path,
                        std::uint64_t session,
                        const std::function<void(World*)>& opened) {
  REENACT_ASSIGN_OR_RETURN(const auto world,
                           World::Open(OptionsOf(workload, path)));
  std::vector<Input> inputs = InputsOf(workload);
  inputs.resize(workload.inputs * (session + 1) / workload.sessions);
  // It got further before a crash: what is open goes on beside later input.
  if (world->position() > inputs.size()) return world->Close();
  if (opened) opened(world.get());
  InputList source(std::move(inputs), world->position());
  absl::Status status = world->Feed(source);
  if (status.ok() && workload.asks) {
    Scheduling scheduling = world->config().scheduling;
    scheduling.round_limit = scheduling.round_limit % 7 + 2;
    status = world->RequestSnapshot().status();
    if (status.ok()) {
      status =
          world->ChangeConfig(scheduling, workload.snapshot_every).status();
    }
    if (status.ok()) status = world->Run();
  }
  const absl::Status closed = world->Close();
  if (opened) opened(nullptr);
  return status.ok() ? closed : status;
}

absl::StatusOr<std::vector<Bytes>> ReadBlocks(const Store& store) {
  std::vector<Bytes> blocks;
  REENACT_RETURN_IF_ERROR(
      store.ScanBlocks(0, [&blocks](std::uint64_t, BytesView stored) {
        blocks.emplace_back(stored);
        return absl::OkStatus();
      }));
  return blocks;
}

absl::StatusOr<StateMap> ReadStates(const Store& store) {
  StateMap states;
  REENACT_RETURN_IF_ERROR(
      store.View()->ScanAll([&states](ReducerId reducer, std::string_view key,
                                      EventId, BytesView state) {
        states[{reducer, std::string(key)}] = Bytes(state);
        return absl::OkStatus();
      }));
  return states;
}

std::string Problem(const char* what, const absl::Status& status) {
  return std::string(what) + ": " + status.ToString();
}

}  // namespace

int InProcess(const std::function<int()>& body) {
  const pid_t process = ::fork();
  REQUIRE(process != -1);
  if (process == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    for (const int crashes : {SIGSEGV, SIGABRT, SIGFPE}) {
      ::signal(crashes, SIG_DFL);
    }
    std::_Exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(process, &status, 0) == process);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

WorldOptions OptionsOf(const Workload& workload, const std::string& path) {
  WorldOptions options;
  options.path = path;
  options.modules.push_back(MakeTortureModule());
  options.config = TortureConfig(workload.seed);
  options.config.scheduling.round_limit = workload.round_limit;
  options.config.snapshot_every = workload.snapshot_every;
  options.snapshots_kept = workload.snapshots_kept;
  options.workers = workload.workers;
  options.sync = workload.sync;
  return options;
}

std::vector<Input> InputsOf(const Workload& workload) {
  return TortureInputs({workload.seed, workload.inputs, workload.keys});
}

absl::Status RunWorkload(const Workload& workload, const std::string& path,
                         const std::function<void(World*)>& opened) {
  for (std::uint64_t i = 0; i < workload.sessions; ++i) {
    REENACT_RETURN_IF_ERROR(RunSession(workload, path, i, opened));
  }
  return absl::OkStatus();
}

Truth::Truth(const Workload& workload, const std::string& path)
    : workload_(workload) {
  const auto archive = Archive::Open(path);
  REQUIRE_OK(archive);
  blocks_ = BlocksOf((*archive)->store());
  for (const Bytes& bytes : blocks_) {
    const auto block = DecodeBlock(bytes);
    REQUIRE_OK(block);
    tickets_.push_back(block->header.last());
    StateMap& states = states_.emplace_back();
    REQUIRE_OK((*archive)->ScanStateAt(
        std::nullopt, tickets_.back(),
        [&states](ReducerId reducer, std::string_view key, BytesView state) {
          states[{reducer, std::string(key)}] = Bytes(state);
          return absl::OkStatus();
        }));
  }
  REQUIRE((states_.back() == StatesOf((*archive)->store())));
}

std::string Truth::Judge(const std::string& path,
                         std::uint64_t acknowledged) const {
  {
    const auto world = World::Open(OptionsOf(workload_, path));
    if (!world.ok()) return Problem("it does not open", world.status());
    if ((*world)->head().value < acknowledged) {
      return "wrong: it opens at ticket " +
             std::to_string((*world)->head().value) + ", and " +
             std::to_string(acknowledged) + " was acknowledged";
    }
    const absl::Status closed = (*world)->Close();
    if (!closed.ok()) return Problem("it does not close", closed);
  }
  return JudgeStored(path, acknowledged);
}

std::string Truth::JudgeStored(const std::string& path,
                               std::uint64_t acknowledged) const {
  RocksDbOptions options;
  options.read_only = true;
  const auto store = OpenRocksDbStore(WorldPaths(path).db, options);
  if (!store.ok()) return Problem("the database", store.status());
  const auto blocks = ReadBlocks(**store);
  if (!blocks.ok()) return Problem("the blocks", blocks.status());
  const std::size_t count = blocks->size();
  if (count == 0 || count > blocks_.size()) {
    return "wrong: it has " + std::to_string(count) + " blocks";
  }
  for (std::size_t i = 0; i < count; ++i) {
    if ((*blocks)[i] != blocks_[i]) {
      return "wrong: block " + std::to_string(i) +
             " is another one: " + FirstDifference(*blocks, blocks_);
    }
  }
  if (TicketAt(count).value < acknowledged) {
    return "wrong: it ends at ticket " + std::to_string(TicketAt(count).value) +
           ", and " + std::to_string(acknowledged) + " was acknowledged";
  }
  const auto states = ReadStates(**store);
  if (!states.ok()) return Problem("the cells", states.status());
  // Opening goes forward from where the cells are.
  const std::uint64_t through = (*store)->cells_through();
  if (through > count) return "wrong: its cells are ahead of its end";
  if (*states != (through == 0 ? StateMap() : StatesAt(through))) {
    return "wrong: its cells are not those of its end";
  }
  // A scan may come by a cell that nobody finds by its name.
  for (const auto& [cell, state] : *states) {
    const auto read = (*store)->ReadCell(cell.first, cell.second);
    if (!read.ok()) return Problem("a cell", read.status());
    if (!read->has_value() || (*read)->state != state) {
      return "wrong: cell " + cell.second + " is not found";
    }
  }
  return "";
}

std::string Truth::GoOn(const std::string& path) const {
  const absl::Status went = RunWorkload(workload_, path);
  if (!went.ok()) return Problem("it does not go on", went);
  // What a session asks for besides is asked again after a crash.
  std::string problem = workload_.asks ? "" : JudgeStored(path, 0);
  VerifyOptions verify;
  verify.path = path;
  verify.modules.push_back(MakeTortureModule());
  verify.threads = 1;
  const auto report = Verify(verify);
  if (!report.ok()) return Problem("it cannot be verified", report.status());
  if (report->verdict != Verdict::kIdentical) {
    return "it does not replay: " + std::string(VerdictName(report->verdict)) +
           " " + report->problem;
  }
  if (!workload_.asks && report->blocks != blocks_.size()) {
    problem += "it went on to " + std::to_string(report->blocks) + " blocks";
  }
  return problem;
}

Recorded Record(const Workload& workload) {
  Scratch scratch;
  const std::string path = scratch / "world";
  disk::RecordedDisk recorder(path);
  std::atomic<World*> open{nullptr};
  recorder.SetAcknowledged([&open]() -> std::uint64_t {
    World* const world = open.load();
    return world == nullptr ? 0 : world->durable().value;
  });
  {
    disk::Watch watch(&recorder);
    REQUIRE_OK(RunWorkload(workload, path,
                           [&open](World* world) { open.store(world); }));
  }
  disk::Log log = recorder.TakeLog();
  // What was recorded is what is there.
  const auto image = disk::ReadImage(path);
  REQUIRE_OK(image);
  const disk::Image again = disk::AfterCrash(log, log.size(), {});
  CHECK((image->files == again.files));
  CHECK((image->directories == again.directories));
  return {std::move(log), Truth(workload, path)};
}

}  // namespace reenact
