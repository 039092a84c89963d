#include "tools/reenact/effect_host.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "reenact/executors/blob_executor.h"
#include "reenact/executors/http_executor.h"
#include "reenact/executors/message_executor.h"
#include "reenact/executors/process_executor.h"
#include "reenact/executors/secrets.h"
#include "reenact/kernel/config.h"

namespace reenact::tools {
namespace {

// How long nothing need happen before one looks again: at signals, the clock,
// the inbox.
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

// --- Relay -------------------------------------------------------------------

void EffectHost::Relay::Open(const OpenEffect& effect) {
  std::lock_guard lock(mutex_);
  if (to_ != nullptr) return to_->Open(effect);
  open_.push_back(effect);
}

void EffectHost::Relay::Closed(const Digest& intent_hash) {
  std::lock_guard lock(mutex_);
  if (to_ != nullptr) return to_->Closed(intent_hash);
  std::erase_if(open_, [&intent_hash](const OpenEffect& effect) {
    return effect.intent_hash == intent_hash;
  });
}

void EffectHost::Relay::Listed(const Policy::Executors& executors) {
  std::lock_guard lock(mutex_);
  if (to_ != nullptr) return to_->Listed(executors);
  listed_ = executors;
}

void EffectHost::Relay::PassTo(Dispatcher* dispatcher) {
  std::lock_guard lock(mutex_);
  to_ = dispatcher;
  dispatcher->Listed(listed_);
  for (const OpenEffect& effect : std::exchange(open_, {})) {
    dispatcher->Open(effect);
  }
}

// --- EffectHost --------------------------------------------------------------

EffectHost::EffectHost(EffectHostOptions options)
    : options_(std::move(options)) {}

EffectHost::~EffectHost() { (void)Stop(std::chrono::milliseconds(0)); }

absl::Status EffectHost::Start(World* world) {
  world_ = world;
  REENACT_RETURN_IF_ERROR(MakeDispatcher());
  REENACT_RETURN_IF_ERROR(
      dispatcher_->Start(this, world->config().world_id, world->epoch()));
  relay_.PassTo(dispatcher_.get());
  REENACT_ASSIGN_OR_RETURN(inbox_,
                           InboxSource::Open(options_.world, world->config()));
  if (options_.socket.empty()) return absl::OkStatus();
  ServerOptions server;
  server.path = options_.socket;
  REENACT_ASSIGN_OR_RETURN(server_,
                           ExecutorServer::Start(dispatcher_.get(), server));
  return absl::OkStatus();
}

absl::Status EffectHost::MakeDispatcher() {
  REENACT_ASSIGN_OR_RETURN(blobs_, BlobStore::Open(options_.world + "/blobs"));
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  REENACT_ASSIGN_OR_RETURN(attempts_,
                           AttemptLog::Open(options_.world, now.count()));
  DispatcherOptions options;
  options.blobs = blobs_.get();
  options.attempts = attempts_.get();
  options.remotes = options_.remotes;
  if (!options_.secrets.empty()) {
    REENACT_ASSIGN_OR_RETURN(options.secrets,
                             Secrets::FromDirectory(options_.secrets));
  }
  dispatcher_ = std::make_unique<Dispatcher>(std::move(options));
  return RegisterAll();
}

absl::Status EffectHost::RegisterAll() {
  KindOptions kind;
  kind.concurrency = options_.concurrency;
  kind.per_peer = options_.per_peer;
  Apply(options_.retry, &kind.retry, &kind.overall_timeout);
  kind.key = options_.key;
  HttpOptions http;
  http.public_only = options_.public_only;
  auto messages = std::make_shared<MessageExecutor>();
  for (const auto& [name, directory] : options_.messages) {
    messages->Add(name, ToInbox(directory));
  }
  const std::vector<std::shared_ptr<Executor>> executors = {
      std::make_shared<HttpExecutor>(http), std::make_shared<ProcessExecutor>(),
      std::make_shared<BlobPutExecutor>(), std::make_shared<BlobGetExecutor>(),
      messages};
  for (const std::shared_ptr<Executor>& executor : executors) {
    REENACT_RETURN_IF_ERROR(dispatcher_->Register(executor, kind));
  }
  return absl::OkStatus();
}

absl::Status EffectHost::SubmitReceipt(Receipt receipt, Done done) {
  const absl::Status submitted =
      world_->SubmitReceipt(std::move(receipt), std::move(done));
  Wake();
  return submitted;
}

void EffectHost::RefuseReceipt(std::string_view executor,
                               std::string_view reason, const Digest& digest) {
  world_->RefuseReceipt(executor, reason, digest);
  Wake();
}

void EffectHost::Wake() {
  std::lock_guard lock(mutex_);
  awake_ = true;
  woken_.notify_one();
}

void EffectHost::WaitAWhile() {
  std::unique_lock lock(mutex_);
  woken_.wait_for(lock, kLook, [this] { return awake_; });
  awake_ = false;
}

absl::Status EffectHost::Serve(const std::function<bool()>& stopped) {
  while (!stopped()) {
    REENACT_RETURN_IF_ERROR(world_->Feed(*inbox_));
    REENACT_RETURN_IF_ERROR(inbox_->RemoveDelivered());
    if (Idle()) return absl::OkStatus();
    WaitAWhile();
  }
  return absl::CancelledError("stopped");
}

// Whether nobody but a person, or an executor that is not there, can change
// anything.
bool EffectHost::Idle() const {
  const WorldStats stats = world_->stats();
  const DispatcherStats at_work = dispatcher_->Stats();
  const bool by_clock = world_->config().clock == ClockKind::kWall;
  if (by_clock && stats.timers_waiting > 0) return false;
  if (at_work.unread + at_work.answered + at_work.held + at_work.offered +
          at_work.delayed >
      0) {
    return false;
  }
  for (const EffectState& state : world_->Effects()) {
    if (state.held || state.joined) continue;
    const bool timer = state.effect.kind == "timer";
    if (by_clock && (timer || state.effect.deadline)) return false;
    if (timer) continue;
    // Others may still attach to the socket.
    if (server_ != nullptr) return false;
    const auto kind = std::find_if(at_work.kinds.begin(), at_work.kinds.end(),
                                   [&state](const KindStats& each) {
                                     return each.kind == state.effect.kind;
                                   });
    if (kind != at_work.kinds.end() && kind->served) return at_work.stuck > 0;
  }
  return true;
}

absl::Status EffectHost::Stop(std::chrono::milliseconds grace) {
  if (server_ != nullptr) server_->Stop();
  server_.reset();
  return dispatcher_ == nullptr ? absl::OkStatus() : dispatcher_->Stop(grace);
}

std::vector<std::string> EffectHost::OpeningNotes() const {
  std::map<std::string, std::vector<std::string>> kinds;  // by the reason
  for (const KindStats& kind : dispatcher_->Stats().kinds) {
    if (!kind.barred.empty()) kinds[kind.barred].push_back(kind.kind);
  }
  std::vector<std::string> notes;
  for (const auto& [reason, barred] : kinds) {
    notes.push_back(absl::StrCat(
        "not carried out here: ", absl::StrJoin(barred, ", "), ": ", reason));
  }
  return notes;
}

std::vector<std::string> EffectHost::Notes() const {
  std::vector<std::string> notes;
  std::size_t held = 0;
  for (const EffectState& state : world_->Effects()) held += state.held ? 1 : 0;
  if (held > 0) {
    notes.push_back(absl::StrCat("waiting for an approval: ", held,
                                 "; `reenact effects --held` lists them"));
  }
  if (dispatcher_ != nullptr) {
    for (const KindStats& kind : dispatcher_->Stats().kinds) {
      if (kind.open == 0 || kind.served) continue;
      notes.push_back(absl::StrCat(
          "waiting for an executor of ", kind.kind, ": ", kind.open,
          kind.barred.empty() ? "" : "; ", kind.barred));
    }
  }
  if (inbox_ != nullptr) {
    for (const std::string& refused : inbox_->refused()) {
      notes.push_back("refused a message: " + refused);
    }
  }
  return notes;
}

}  // namespace reenact::tools
