// Opening a world: from options to parts that run.

#include <algorithm>
#include <limits>
#include <utility>

#include "reenact/base/test_points.h"
#include "reenact/journal/directory/head.h"
#include "reenact/kernel/due_times.h"
#include "reenact/kernel/reducer_table.h"
#include "reenact/workers/step_entries.h"
#include "reenact/world/parts.h"

namespace reenact {
namespace {

// Cells that are not in memory come from the store.
class StoreCells final : public CellSource {
 public:
  explicit StoreCells(Store* store) : store_(store) {}

  absl::StatusOr<std::optional<Stored>> Load(ReducerId reducer,
                                             std::string_view key) override {
    REENACT_ASSIGN_OR_RETURN(std::optional<StoredCell> cell,
                             store_->ReadCell(reducer, key));
    if (!cell) return std::optional<Stored>();
    return std::optional<Stored>(Stored{cell->version, std::move(cell->state)});
  }

  absl::Status Scan(
      ReducerId reducer, std::string_view from, std::string_view to,
      const std::function<absl::Status(std::string_view, EventId, BytesView)>&
          visit) override {
    return store_->View()->Scan(
        reducer, from, to,
        [&visit](ReducerId, std::string_view key, EventId version,
                 BytesView state) { return visit(key, version, state); });
  }

 private:
  Store* const store_;
};

}  // namespace

absl::Status WorldParts::Open() {
  REENACT_RETURN_IF_ERROR(CheckOptions());
  pool = std::move(internals.pool);
  if (pool == nullptr) {
    pool =
        options.workers == 0 ? NewInlinePool() : NewThreadPool(options.workers);
  }
  if (!internals.config_as_is) CompleteConfig();
  REENACT_RETURN_IF_ERROR(CheckConfig(options.config));
  REENACT_RETURN_IF_ERROR(OpenStorage());
  progress.ended_before = state->ledger().ended();
  progress.last_time.store(state->at().time.value);
  const Policy::Executors& listed = state->ledger().policy().executors();
  if (options.effects != nullptr && !listed.empty()) {
    options.effects->Listed(listed);
  }
  return absl::OkStatus();
}

absl::Status WorldParts::CheckOptions() {
  if (!internals.config_as_is) {
    REENACT_RETURN_IF_ERROR(CheckModules(options.modules));
  }
  if (options.window == 0 || (options.window & (options.window - 1)) != 0 ||
      options.window > 65536) {
    return absl::InvalidArgumentError(
        "the window must be a power of two, at most 65536");
  }
  if (options.workers > 1024) {
    return absl::InvalidArgumentError("at most 1024 workers make sense");
  }
  return absl::OkStatus();
}

// What a new world's configuration leaves to the machine and to its modules.
void WorldParts::CompleteConfig() {
  WorldConfig& config = options.config;
  config.modules = RecordsOf(options.modules);
  config.reducers = ExtendTable({}, config.modules);
  if (config.world_id.empty()) config.world_id = DrawWorldId();
  if (config.seed == Digest()) SetSeed(0, config);
  if (options.start && config.clock == ClockKind::kRounds) {
    config.clock = ClockKind::kWall;
  }
}

std::unique_ptr<Storage> WorldParts::NewStorage() {
  if (internals.store != nullptr) {
    return NewStoreStorage(std::move(internals.store),
                           std::move(internals.start),
                           internals.want_open_work);
  }
  if (options.path.empty()) return NewMemoryStorage();
  return NewDirectoryStorage(options.path, options.must_exist,
                             options.snapshots_kept);
}

absl::Status WorldParts::OpenStorage() {
  const bool is_callers = internals.store != nullptr;
  storage = NewStorage();
  REENACT_ASSIGN_OR_RETURN(Storage::Opened opened, storage->Open(&report));
  store = storage->store();
  epoch = opened.epoch;
  if (!opened.checkpoint) return Genesis(std::move(opened.head));
  REENACT_RETURN_IF_ERROR(
      StartMachine(*opened.checkpoint, std::move(opened.head)));
  if (is_callers && !options.accept_module_change) return absl::OkStatus();
  if (!is_callers) REENACT_RETURN_IF_ERROR(writer->Flush());
  REENACT_FAILPOINT_RETURN("open, before option changes");
  return ApplyOptionChanges();
}

// Starts a world with nothing but its first block.
absl::Status WorldParts::Genesis(std::unique_ptr<HeadFile> head) {
  Checkpoint place;
  place.config = options.config;
  REENACT_RETURN_IF_ERROR(StartMachine(place, std::move(head)));
  auto round = writer->Recycle();
  round->round = Round{0};
  round->first = EventId{1};
  round->ticket_count = 0;
  round->entry_count = 1;
  round->entries = EncodeToBytes(entry::Genesis{options.config});
  writer->Append(std::move(round));
  progress.next_block = 1;
  REENACT_FAILPOINT_RETURN("genesis handed over");
  REENACT_RETURN_IF_ERROR(writer->Flush());
  REENACT_FAILPOINT_RETURN("genesis durable");
  return storage->FinishCreation();
}

absl::Status WorldParts::StartMachine(const Checkpoint& place,
                                      std::unique_ptr<HeadFile> head) {
  REENACT_ASSIGN_OR_RETURN(State there, State::At(place));
  state.emplace(std::move(there));
  const WorldConfig& config = state->config();
  format_version = config.format_version;
  clock = config.clock;
  REENACT_ASSIGN_OR_RETURN(
      auto reducers,
      ResolveReducers(config.reducers, config.modules, options.modules));
  rules.SetReducers(reducers);
  SetRules();
  progress.next_block = place.block_count;

  source = std::make_unique<StoreCells>(store);
  cells = std::make_unique<CellTable>(source.get(), options.cache_bytes,
                                      options.window);
  Window::Options tickets;
  tickets.size = options.window;
  tickets.workers = pool->workers();
  tickets.run_twice = internals.run_twice;
  tickets.observer = internals.observer;
  window = std::make_unique<Window>(cells.get(), &rules, EncodeResult,
                                    place.event_id, tickets);
  // One thread gains nothing from handing steps to itself.
  const bool serial =
      pool->workers() == 0 ||
      (pool->workers() == 1 && !pool->chooses() && !internals.never_inline);
  sharing.emplace(
      window.get(), pool.get(),
      StepSharing::Options{serial, internals.never_inline || pool->chooses(),
                           internals.threads});
  committer.emplace(
      state->next_ticket(),
      Committer::Parts{window.get(), cells.get(), &state->ledger(), &rules,
                       &state->config()},
      SelfCheckOptions());
  notifier.emplace(
      Notifier::Parts{options.effects, &state->ledger(), &rules, report.head});
  admission.emplace(options.ingress_capacity,
                    Admission::Parts{&*state, &rules, &submissions, &*notifier,
                                     &failures, internals.script});
  // Totals are those of the cells as they are now.
  REENACT_RETURN_IF_ERROR(committer->SetInvariants(
      reducers, [this](ReducerId reducer, const VisitCell& visit) {
        return ScanStored(reducer, visit);
      }));
  StartWriter(place, std::move(head));
  return absl::OkStatus();
}

// What steps are held to, by the world's format.
void WorldParts::SetRules() {
  const WorldConfig& config = state->config();
  rules.world_seed = config.seed;
  rules.limits = config.limits;
  rules.identities = config.format_version >= kFormatVersionSharing;
  rules.retries = config.format_version >= kFormatVersionRetries;
  rules.limits_reserve = config.format_version >= kFormatVersionLimits;
  rules.due_max = DueMaxOf(config);
  rules.budgets = this;
}

void WorldParts::StartWriter(const Checkpoint& place,
                             std::unique_ptr<HeadFile> head) {
  if (internals.make_writer) {
    writer = internals.make_writer(store);
    return;
  }
  JournalWriter::Options journal;
  journal.sync = options.sync;
  journal.own_thread = head != nullptr || internals.writer_thread;
  journal.next_index = place.block_count;
  journal.prev_hash = place.block_hash;
  journal.last_event = place.event_id;
  journal.world_id = state->config().world_id;
  journal.epoch = epoch;
  journal.check_owner = [this] { return storage->CheckOwner(); };
  writer = JournalWriter::Start(store, std::move(head), journal,
                                [this] { NotifyDurable(); });
}

// All cells of a reducer as they are in the store: for a world that opens.
absl::Status WorldParts::ScanStored(ReducerId reducer,
                                    const VisitCell& visit) const {
  return store->View()->Scan(
      reducer, {}, {},
      [&visit](ReducerId, std::string_view key, EventId, BytesView value) {
        return visit(key, value);
      });
}

// And as they are now.
absl::Status WorldParts::ScanPresent(ReducerId reducer,
                                     const VisitCell& visit) {
  std::vector<std::pair<std::string, Bytes>> found;
  REENACT_RETURN_IF_ERROR(cells->Scan(
      reducer, {}, {}, std::numeric_limits<std::size_t>::max(), &found));
  for (const auto& [key, value] : found) {
    REENACT_RETURN_IF_ERROR(visit(key, value));
  }
  return absl::OkStatus();
}

SelfCheck::Options WorldParts::SelfCheckOptions() const {
  SelfCheck::Options self_check;
  self_check.every = options.self_check;
  if (options.observe_check) {
    self_check.observe = [this](bool begins, const Ticket& ticket) {
      options.observe_check(begins, 1, ticket.code->name(), ticket.event.key,
                            ticket.event_id);
    };
  }
  if (options.on_nondeterminism) {
    self_check.on_difference = [this](const Ticket& ticket,
                                      const StepResult& result) {
      options.on_nondeterminism(
          {ticket.event_id,
           {std::string(ticket.code->name()), std::string(ticket.event.key)},
           result.entries,
           result.other});
    };
  }
  return self_check;
}

// Records, or refuses, that the options differ from what the world was run
// with.
absl::Status WorldParts::ApplyOptionChanges() {
  const std::vector<ModuleRecord> given = RecordsOf(options.modules);
  if (given != state->config().modules) {
    if (!options.accept_module_change) {
      return absl::FailedPreconditionError(
          DescribeModuleChange(state->config().modules, given) +
          "; accept the module change to record it and go on");
    }
    entry::ModuleChanged change;
    change.input = kAnyInput;
    change.modules = given;
    change.reducers = ExtendTable(state->config().reducers, given);
    admission->AddControl(EncodeToBytes(change), nullptr);
  }
  if (options.accept_config_change &&
      (options.config.scheduling != state->config().scheduling ||
       options.config.snapshot_every != state->config().snapshot_every)) {
    entry::ConfigChanged change;
    change.input = kAnyInput;
    change.scheduling = options.config.scheduling;
    change.snapshot_every = options.config.snapshot_every;
    if (change.scheduling.pipeline_depth != state->depth()) {
      return absl::InvalidArgumentError(
          "the pipeline depth is a constant of the world");
    }
    admission->AddControl(EncodeToBytes(change), nullptr);
  }
  return absl::OkStatus();
}

// Takes the code of the reducers over that the configuration names by now.
absl::Status WorldParts::UseReducers() {
  const WorldConfig& config = state->config();
  REENACT_ASSIGN_OR_RETURN(
      auto reducers,
      ResolveReducers(config.reducers, config.modules, options.modules));
  REENACT_RETURN_IF_ERROR(committer->SetInvariants(
      reducers, [this](ReducerId reducer, const VisitCell& visit) {
        return ScanPresent(reducer, visit);
      }));
  rules.SetReducers(std::move(reducers));
  return absl::OkStatus();
}

}  // namespace reenact
