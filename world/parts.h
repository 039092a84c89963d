// What an open world is made of.

#ifndef REENACT_WORLD_PARTS_H_
#define REENACT_WORLD_PARTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/first_error.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"
#include "reenact/committer/committer.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/writer.h"
#include "reenact/kernel/checkpoint.h"
#include "reenact/kernel/ids.h"
#include "reenact/workers/cells.h"
#include "reenact/workers/pool.h"
#include "reenact/workers/step_run.h"
#include "reenact/workers/window.h"
#include "reenact/world/admission.h"
#include "reenact/world/failure_orders.h"
#include "reenact/world/notifier.h"
#include "reenact/world/state.h"
#include "reenact/world/step_sharing.h"
#include "reenact/world/storage.h"
#include "reenact/world/submissions.h"
#include "reenact/world/world.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// Stands in a control command's entry until it is admitted: a number that an
// entry may have.
inline constexpr InputId kAnyInput{1};

Bytes EncodeToBytes(const Entry& entry);
absl::Status OutOfMemory();

// The parts of one world, in the order in which they lean on each other, and
// what they share. Open() puts them together; rounds, the pipeline and the
// facade work on them. A plain collection: each part keeps its own invariants.
//
// Thread safety: as each part says. What has no synchronization of its own is
// the ordered role's while the world runs, and its driver's while it does not.
struct WorldParts final : BudgetReader {
  // How far the world has come.
  struct Progress {
    // The ordered role's.
    WorldStats counts;
    WorldStats published;  // a copy for readers, under CellTable::exclusive()
    EffectsEnded ended_before{};  // in histories before this opening
    std::uint64_t next_block = 0;
    // Any thread's.
    std::atomic<bool> idle{false};           // there is nothing to compose
    std::atomic<bool> in_flight{false};      // a round is not committed
    std::atomic<std::int64_t> last_time{0};  // of the last finished round
  };

  WorldParts(WorldOptions given, WorldInternals inner)
      : options(std::move(given)), internals(std::move(inner)) {}

  // Opens the world that the options name. The codes are World::Open()'s.
  absl::Status Open();

  // --- constant once it is open ----------------------------------------------

  WorldOptions options;
  WorldInternals internals;
  OpenReport report;
  std::uint64_t epoch = 0;
  // Of the configuration, which changes as a whole: any thread asks for these.
  std::uint64_t format_version = 0;
  ClockKind clock = ClockKind::kRounds;

  // --- parts -----------------------------------------------------------------

  std::unique_ptr<Pool> pool;
  std::unique_ptr<Storage> storage;
  Store* store = nullptr;  // the storage's
  std::unique_ptr<CellSource> source;
  StepRules rules;
  std::unique_ptr<CellTable> cells;
  std::unique_ptr<Window> window;
  std::unique_ptr<JournalWriter> writer;
  std::optional<State> state;
  std::optional<Committer> committer;
  std::optional<Notifier> notifier;
  std::optional<StepSharing> sharing;
  Submissions submissions;
  FailureOrders failures;
  std::optional<Admission> admission;

  // --- what they share -------------------------------------------------------

  Progress progress;
  FirstError error;
  std::atomic<bool> interrupted{false};  // no further round is begun
  mutable Mutex sources_mutex;  // state->at().sources, which any thread reads

  // --- what is asked of them together ----------------------------------------

  bool failed() const { return error.has_error(); }
  absl::Status status() const { return error.status(); }
  // The world stops for this; OK: nothing.
  void Fail(const absl::Status& what) {
    if (!what.ok()) error.Update(CauseOf(what));
  }
  // What fails in a directory that is gone fails because of that.
  absl::Status CauseOf(const absl::Status& what) const;
  // What the machine's clock shows, or the one of the options.
  LogicalTime WallTime() const;
  bool binds_open_work() const {
    return format_version >= kFormatVersionOpenWork;
  }
  // The writer has come further: submissions and executors hear of it.
  void NotifyDurable();
  // Takes the code of the reducers over that the configuration names by now.
  absl::Status UseReducers();

  bool Affords(std::string_view capability, const Amounts& amounts,
               LogicalTime now) const override {
    return state->ledger().Affords(capability, amounts, now);
  }

 private:
  using VisitCell =
      std::function<absl::Status(std::string_view key, BytesView state)>;

  absl::Status CheckOptions();
  void CompleteConfig();
  std::unique_ptr<Storage> NewStorage();
  absl::Status OpenStorage();
  absl::Status Genesis(std::unique_ptr<HeadFile> head);
  absl::Status StartMachine(const Checkpoint& place,
                            std::unique_ptr<HeadFile> head);
  void SetRules();
  void StartWriter(const Checkpoint& place, std::unique_ptr<HeadFile> head);
  absl::Status ApplyOptionChanges();
  absl::Status ScanStored(ReducerId reducer, const VisitCell& visit) const;
  absl::Status ScanPresent(ReducerId reducer, const VisitCell& visit);
  SelfCheck::Options SelfCheckOptions() const;
};

}  // namespace reenact

#endif  // REENACT_WORLD_PARTS_H_
