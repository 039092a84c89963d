// What a world would do on more cores than this machine has: a discrete-event
// simulation of its pipeline, fed with what each stage costs here.
//
//   compose ─▶ issue ─▶ claim, execute, encode ─▶ commit ─▶ hand over ─▶ write,
//   └──── ordered role ────┘      any core        └─ ordered role ─┘     sync
//
// What is simulated, as workers/window.cc, workers/pool.cc, world/world.cc and
// journal/writer.cc have it:
//
//  - Each core runs one worker. A worker that is free tries to take the ordered
//    role; who has it commits what is done, in order, at most `burst` tickets;
//    issues tickets while the window has room; composes at most `pull_burst`
//    tickets of the next round; and lets go of it. Then the worker claims about
//    `claim_work_ns` of steps, at most `claim_max`, and runs them.
//  - A ticket that declares a cell waits for the last one before it that writes
//    the cell, and then runs on the core that ran that one. One that reads a
//    cell undeclared while an earlier ticket that writes it has not run is run
//    again at commit.
//  - A ticket is issued only while it is at most `window` above the last
//    committed one, and only once its round is composed; a round is composed
//    once the one `pipeline_depth` before it is committed.
//  - A finished round goes to the writer, which writes all that wait and syncs.
//    While `queued_rounds` wait, the last ticket of a round is not committed.
//    The writer takes a core while it writes, none while it syncs.
//  - Steps below `inline_below_ns` are run by the ordered role, in order.
//  - A ticket that is run on another core than it was issued on costs
//    `transfer_ns` more, and again if it is committed on another core than it
//    was run on.
//
// What is assumed, and flatters or wrongs many cores:
//
//  - Costs are constants. Real ones spread, which a window evens out.
//  - `contention` is linear in cores: what two cores cost each other here,
//    each further core costs again. Memory bandwidth and sockets are not known.
//  - No other process, no scheduler: nobody loses a core in mid-step. A core
//    with nothing to do finds work the moment there is some.
//  - Every ticket is an input that is there already, with one event and no
//    consequences; all steps cost the same.
//  - A sync takes the same time whatever was written.

#ifndef REENACT_BENCH_SCALING_MODEL_H_
#define REENACT_BENCH_SCALING_MODEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace reenact::bench {

// What a ticket passes through. kClaim is once a claim, kSync once a group.
enum class Stage : std::uint8_t {
  kCompose,   // pulled, checked, admitted, put into a round; ordered
  kIssue,     // given a slot and linked to its predecessors; ordered
  kClaim,     // claimed; any core
  kExecute,   // reducer and all that surrounds it; any core
  kEncode,    // its entries; any core
  kCommit,    // compared, published, entries appended; ordered
  kRerun,     // executed and encoded again; ordered
  kHandOver,  // changed cells gathered and the round handed on; ordered
  kTransfer,  // moved from core to core; where it arrives
  kWrite,     // hashed and stored; the writer
  kSync,      // the disk
};
inline constexpr std::size_t kStages = 11;
std::string_view StageName(Stage stage);

// In nanoseconds, on one core with the others idle.
struct StageCosts {
  // Per ticket.
  double compose = 0, issue = 0, execute = 0, encode = 0, commit = 0;
  double hand_over = 0, write = 0;
  double claim = 0;     // per claim
  double sync = 0;      // per group; 0: not synced
  double transfer = 0;  // per ticket, for each time that it changes cores
  // The part by which each further core slows down all of them: 0.02 makes
  // everything cost 1.02 on two cores and 1.06 on four.
  double contention = 0;
};

// Which cells tickets touch. All draws come from `seed`.
struct AccessPattern {
  std::uint32_t cells = 100'000;
  double zipf = 0;            // exponent; 0: evenly
  double hot_share = 0;       // of tickets whose own cell is one and the same
  std::uint32_t touches = 1;  // declared cells of a ticket, its own included
  double write_share = 1;     // of those besides its own that it writes
  double foreign_share = 0;   // of tickets that read one more, undeclared
  std::uint64_t seed = 1;
};

struct ScalingInput {
  StageCosts costs;
  AccessPattern access;
  // Rounds to simulate, of `round_limit` tickets each.
  std::size_t rounds = 64;

  // Constants of the kernel, with its defaults.
  std::size_t round_limit = 1024;
  std::size_t pipeline_depth = 2;
  std::size_t window = 256;
  std::size_t burst = 256;
  std::size_t pull_burst = 64;
  double claim_work_ns = 8000;
  std::size_t claim_max = 32;
  std::size_t queued_rounds = 8;
  double inline_below_ns = 900;
};

// What there is too little of.
enum class Bottleneck : std::uint8_t {
  kCores,    // all of them are busy
  kOrdered,  // the ordered role, which one core at a time has
  kHotCell,  // steps of one cell, which run one after the other
  kWriter,   // the writer's hashing and storing
  kSync,     // the disk
  kWindow,   // none of these: cores wait for tickets to be issued
};
std::string_view BottleneckName(Bottleneck bottleneck);

struct ScalingPoint {
  std::size_t cores = 0;
  double tickets_per_s = 0;  // until all are written, and synced if they are
  // How many cores were busy with each stage on average, kSync excepted: the
  // part of the time that a sync was under way.
  std::array<double, kStages> busy{};
  double of(Stage stage) const { return busy[static_cast<std::size_t>(stage)]; }
  // From 0 to 1.
  double cores_used = 0;
  double ordered_used = 0;
  double hot_cell_used = 0;  // by the steps that write the cell that has most
  double reruns = 0;         // per ticket
  bool inline_steps = false;
  Bottleneck bottleneck = Bottleneck::kCores;
  Stage largest = Stage::kExecute;  // the stage that has most of the time of
                                    // what there is too little of
};

// The same input gives the same point, on every machine whose pow() agrees.
// REQUIRES: cores > 0, rounds, sizes and limits above 0, access.cells > 0.
ScalingPoint SimulateScaling(const ScalingInput& input, std::size_t cores);

// One point for each number of cores.
std::vector<ScalingPoint> PredictScaling(const ScalingInput& input,
                                         const std::vector<std::size_t>& cores);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_SCALING_MODEL_H_
