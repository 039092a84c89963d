// chaos_child DIRECTORY SEED INPUTS WORKERS SYNC POINT HIT: a process that goes
// on with a world and ends at once (137) the HIT-th time that it comes to the
// failpoint POINT ("-": at none). Writes to its output, in 8 bytes each: the
// last ticket that was found, then, again and again, the last one that is
// durable.
//
// Two points are on the disk: "D08 mid append" writes one half of what is to go
// to the journal's log, "D09 before the log's sync" ends before a sync of it.
// And "a call" ends before the HIT-th call of the system that changes the disk.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tests/chaos/chaos_world.h"

namespace reenact {
namespace {

constexpr int kKilled = 137;

std::uint64_t hit_wanted = 0;

absl::Status EndHere(instrument::Point& point) {
  if (point.hits.load() == hit_wanted) ::_exit(kKilled);
  return absl::OkStatus();
}

using What = disk::Call::What;

constexpr char kMidAppend[] = "D08 mid append";
constexpr char kBeforeSync[] = "D09 before the log's sync";
constexpr char kAnyCall[] = "a call";

// Ends the process in the midst of what is done to the disk.
class DeadlyDisk final : public disk::Watcher {
 public:
  explicit DeadlyDisk(std::string point) : point_(std::move(point)) {}

  bool deadly() const {
    return point_ == kMidAppend || point_ == kBeforeSync || point_ == kAnyCall;
  }
  int Before(disk::Call* call, std::uint64_t* mark) override {
    if (!Counts(*call)) return 0;
    *mark = ++hits_;
    if (*mark != hit_wanted) return 0;
    if (point_ != kMidAppend) ::_exit(kKilled);
    call->bytes = call->bytes.substr(0, (call->bytes.size() + 1) / 2);
    return 0;
  }
  void After(const disk::Call& call, std::uint64_t mark) override {
    if (point_ == kMidAppend && Counts(call) && mark == hit_wanted) {
      ::_exit(kKilled);
    }
  }
  void Read(std::string_view, std::uint64_t, char*, std::size_t) override {}

 private:
  bool Counts(const disk::Call& call) const {
    if (point_ == kAnyCall) {
      return call.what != What::kOpen && call.what != What::kRead &&
             call.what != What::kList;
    }
    return call.path.ends_with(".log") &&
           call.what == (point_ == kMidAppend ? What::kWrite : What::kSync);
  }

  const std::string point_;
  std::atomic<std::uint64_t> hits_{0};
};

// Answers every effect, a moment later, and looks that none comes too early.
class Outside final : public EffectListener {
 public:
  void Start(World* world) {
    world_ = world;
    thread_ = std::thread([this] { Run(); });
  }
  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void Open(const OpenEffect& effect) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_.push_back(effect);
    changed_.notify_all();
  }
  void Closed(const Digest&) override {}

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || !open_.empty(); });
      if (stop_) return;
      const OpenEffect effect = open_.front();
      open_.pop_front();
      lock.unlock();
      // What is not durable must not have any effect.
      if (effect.event_id > world_->durable()) ::_exit(4);
      Receipt receipt;
      receipt.intent_hash = effect.intent_hash;
      receipt.payload = cbor::EncodeText("done");
      receipt.executor = "outside";
      world_->SubmitReceipt(std::move(receipt), [](const absl::Status&) {})
          .IgnoreError();
      lock.lock();
    }
  }

  World* world_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<OpenEffect> open_;
  bool stop_ = false;
  std::thread thread_;
};

void Tell(EventId event_id) {
  const ssize_t written = ::write(1, &event_id.value, sizeof event_id.value);
  if (written != sizeof event_id.value) std::_Exit(3);
}

bool Arm(const std::string& name) {
  bool found = name == "-";
  for (instrument::Point& point : instrument::Points()) {
    if (point.kind != instrument::Kind::kFailpoint || name != point.name) {
      continue;
    }
    point.armed = 1;
    found = true;
  }
  instrument::SetFailpointHandler(EndHere);
  return found;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

absl::Status Grant(World& world) {
  REENACT_RETURN_IF_ERROR(world.ChangeGrant(ChaosGrant()).status());
  return world.Run();
}

World* running = nullptr;

void Interrupted(int) {
  if (running != nullptr) running->Interrupt();
}

int Run(WorldOptions options, std::uint64_t seed, std::uint64_t inputs) {
  Outside outside;
  options.effects = &outside;
  auto opened = World::Open(std::move(options));
  if (!opened.ok()) return Fail(opened.status());
  World& world = **opened;
  running = &world;
  Tell(world.open_report().head);
  outside.Start(&world);
  if (world.head().value == 0) {
    if (const absl::Status granted = Grant(world); !granted.ok()) {
      return Fail(granted);
    }
  }
  InputList source(ChaosInputs(seed, inputs), world.position());
  source.before = [&](std::uint64_t) { Tell(world.durable()); };
  absl::Status status = world.Feed(source);
  const bool interrupted = absl::IsCancelled(status);
  if (interrupted) status = absl::OkStatus();
  if (status.ok()) Tell(world.durable());
  running = nullptr;
  outside.Stop();
  // What was answered meanwhile.
  if (status.ok() && !interrupted) status = world.Run();
  const absl::Status closed = world.Close();
  if (!status.ok()) return Fail(status);
  if (!closed.ok()) return Fail(closed);
  return interrupted ? 5 : 0;
}

}  // namespace
}  // namespace reenact

int main(int argc, char** argv) {
  using namespace reenact;
  if (argc != 8) return 2;
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t inputs = std::strtoull(argv[3], nullptr, 10);
  WorldOptions options = ChaosOptions(seed, argv[1]);
  options.workers = std::strtoull(argv[4], nullptr, 10);
  const auto sync = SyncPolicy::Parse(argv[5]);
  if (!sync.ok()) return 2;
  options.sync = *sync;
  const std::string point = argv[6];
  hit_wanted = std::strtoull(argv[7], nullptr, 10);
  // Seeds of the caller's: nothing recorded may depend on these.
  options.cache_bytes = (hit_wanted % 3 + 1) << 16;
  options.snapshots_kept = hit_wanted % 3;
  ::signal(SIGTERM, Interrupted);
  ::signal(SIGINT, Interrupted);
  DeadlyDisk disk(point);
  const disk::Watch watch(disk.deadly() ? &disk : nullptr);
  if (!disk.deadly() && !Arm(point)) return 2;
  return Run(std::move(options), seed, inputs);
}
