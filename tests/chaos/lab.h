// Small worlds whose whole history is known, so that whatever a fault leaves of
// one can be judged.

#ifndef REENACT_TESTS_CHAOS_LAB_H_
#define REENACT_TESTS_CHAOS_LAB_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reenact/harness/disk/recorded_disk.h"
#include "tests/support/torture.h"
#include "tests/support/worlds.h"

namespace reenact {

// A sweep tries every kShare-th place, spread evenly: each where the kernel is
// quick.
#if defined(NDEBUG) && !defined(REENACT_SANITIZED)
inline constexpr std::uint64_t kShare = 1;
#else
inline constexpr std::uint64_t kShare = 12;
#endif

// Runs `body` in a process of its own, which dies of a crash in silence.
// Returns what it returned, or 128 and the signal. This process opens no world
// before it has made the last such one: a copy lacks the threads of its
// database.
int InProcess(const std::function<int()>& body);

struct Workload {
  const char* name = "";
  std::uint64_t seed = 1;
  std::uint64_t inputs = 40;   // of all sessions
  std::uint64_t keys = 10;     // of each reducer
  std::uint64_t sessions = 1;  // each opens, feeds its part and closes
  std::uint64_t round_limit = 4;
  std::uint64_t snapshot_every = 0;
  std::size_t snapshots_kept = 0;
  std::size_t workers = 0;
  SyncPolicy sync = {};
  bool asks = false;  // each session asks for a snapshot, and changes a setting
};

WorldOptions OptionsOf(const Workload& workload, const std::string& path);
std::vector<Input> InputsOf(const Workload& workload);

// Opens the world, feeds what it does not have yet, session by session, closes.
// `opened` hears of each world while it is open, and of null before it goes.
absl::Status RunWorkload(const Workload& workload, const std::string& path,
                         const std::function<void(World*)>& opened = nullptr);

// What a workload comes to, block by block.
class Truth {
 public:
  // Reads the world that a run of `workload` has left at `path`.
  Truth(const Workload& workload, const std::string& path);

  const Workload& workload() const { return workload_; }
  const std::vector<Bytes>& blocks() const { return blocks_; }
  // As of the end of so many blocks.
  EventId TicketAt(std::size_t block_count) const {
    return tickets_[block_count - 1];
  }
  const StateMap& StatesAt(std::size_t block_count) const {
    return states_[block_count - 1];
  }

  // Opens the world at `path` as its owner would and judges what it is: every
  // ticket up to `acknowledged` is there byte for byte, behind them nothing but
  // what was to come, and the cells are those of its last ticket. "": all is
  // well; else why it could not be read, or, after "wrong: ", what is wrong.
  std::string Judge(const std::string& path, std::uint64_t acknowledged) const;
  // The same, without opening it to write before.
  std::string JudgeStored(const std::string& path,
                          std::uint64_t acknowledged) const;
  // Goes on with the world at `path` to the workload's end; it must be what it
  // would have been. And it replays.
  std::string GoOn(const std::string& path) const;

 private:
  const Workload workload_;
  std::vector<Bytes> blocks_;
  std::vector<EventId> tickets_;
  std::vector<StateMap> states_;
};

// A run of a workload: what it did to the disk, and the truth.
struct Recorded {
  disk::Log log;
  Truth truth;
};
Recorded Record(const Workload& workload);

}  // namespace reenact

#endif  // REENACT_TESTS_CHAOS_LAB_H_
