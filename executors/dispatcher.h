// Sees to it that effects are carried out.

#ifndef REENACT_EXECUTORS_DISPATCHER_H_
#define REENACT_EXECUTORS_DISPATCHER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/executors/executor.h"
#include "reenact/executors/options.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/hash.h"
#include "reenact/world/effects.h"

namespace reenact {

// Another process that carries out effects, as the dispatcher sees it.
//
// Calls come from threads of the dispatcher, one at a time: take a note and
// return; call nothing of the dispatcher from inside.
class RemoteExecutor {
 public:
  virtual ~RemoteExecutor() = default;

  // It may claim this within the length of a lease.
  virtual void Offer(std::shared_ptr<const OpenEffect> effect) = 0;
  // Its claim is granted: it may begin, under the lease of this epoch. Said
  // before anything else that is said about that lease.
  virtual void Grant(const Digest& intent, std::uint64_t epoch,
                     std::uint32_t attempt) = 0;
  // It need not go on: the effect is closed, or the lease or offer has expired.
  // `epoch` is 0 for an offer.
  virtual void Cancel(const Digest& intent, std::uint64_t epoch,
                      std::string_view reason) = 0;
  // What became of a receipt of its: ReceiptSink::Done's verdict, or
  // FailedPrecondition "stale lease".
  virtual void Verdict(const Digest& intent, std::uint64_t epoch,
                       const absl::Status& verdict) = 0;
};

// Everything between a world and those who carry out its effects: takes note of
// what is open, gives it to executors in this process and in others, each under
// a lease, tries again what failed for the moment, answers for who does not
// answer, and puts the receipts in at the door.
//
//   Dispatcher dispatcher;
//   dispatcher.Register(std::make_shared<Mail>()).IgnoreError();
//   options.effects = &dispatcher;           // of the world
//   auto world = World::Open(std::move(options)).value();
//   dispatcher.Start(world.get(), world_id, opening_epoch);
//   ...
//   dispatcher.Stop(std::chrono::seconds(5)).IgnoreError();
//
// What is open when it stops is open when the world is opened again, and is
// carried out then; so it may be carried out twice, with one idempotency key.
// Effects of a kind that nobody serves stay open, and are seen in Stats().
//
// The order of calls: Register() as often as there are executors, Start(),
// Attach() and so on, Stop(). The EffectListener's part may be called at any
// time from the beginning to the end of its life.
//
// Thread safety: any thread. It calls the door and executors without a lock of
// its own held, and never calls them from within a listener's call.
class Dispatcher final : public EffectListener {
 public:
  explicit Dispatcher(DispatcherOptions options = {});
  // Stops it, if need be, without patience.
  ~Dispatcher() override;
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Effects of executor->kind() go to it. AlreadyExists: there is one for that
  // kind. InvalidArgument: options that allow for nothing (no concurrency, no
  // attempt), or a name of more than Receipt::kExecutorBytesMax bytes.
  // FailedPrecondition: it was started.
  absl::Status Register(std::shared_ptr<Executor> executor,
                        KindOptions options = {});

  // Begins. `door` outlives Stop(). `opening_epoch` is a number that rises with
  // each opening of the world; leases count from it times 2^32.
  // FailedPrecondition: it was started before.
  absl::Status Start(ReceiptSink* door, Bytes world_id,
                     std::uint64_t opening_epoch);

  // Begins nothing more, waits until what runs has returned or `grace` is over,
  // then cancels what is left and waits a little (`cancel_wait`). Receipts that
  // came of it are put in, unless the door has no room. Calls neither the door
  // nor a RemoteExecutor afterwards.
  // DeadlineExceeded: executors of these kinds did not return; their threads
  // are left to themselves, and what they use, the executors included, with
  // them.
  absl::Status Stop(std::chrono::milliseconds grace);

  DispatcherStats Stats() const;

  // EffectListener
  void Open(const OpenEffect& effect) override;
  void Closed(const Digest& intent_hash) override;
  // Nothing is given to whose receipt would not count; Stats() has why.
  void Listed(const Policy::Executors& executors) override;

  // --- For other processes; server.h is the usual caller ---------------------

  using Id = std::uint64_t;
  // A process called `name` serves `kinds`, at most `concurrency` effects at a
  // time. `remote` outlives Detach().
  // FailedPrecondition: not started, or stopped. PermissionDenied: it may not
  // attach, or not for one of these kinds (DispatcherOptions::remotes), or the
  // name is that of an executor or a kind of this process: what is answered in
  // such a name was done here.
  absl::StatusOr<Id> Attach(std::string name, std::vector<std::string> kinds,
                            std::size_t concurrency, RemoteExecutor* remote);
  // It is gone: what it held is offered to others. No call to it is made once
  // this has returned.
  void Detach(Id id);

  // A lease for what was offered, which RemoteExecutor::Grant() has by the time
  // this returns. NotFound: it is not on offer (any more).
  absl::Status Claim(Id id, const Digest& intent);
  // One more length of the lease. FailedPrecondition: it is not current.
  absl::Status Renew(Id id, const Digest& intent, std::uint64_t epoch);
  // A receipt from it, whose payload nobody needs to have looked at. What is
  // not under the current lease is refused at the door;
  // RemoteExecutor::Verdict() tells either way. `digest` is of the receipt's
  // bytes. ResourceExhausted: more receipts than it had leases wait for a
  // verdict. PermissionDenied: the receipt names another executor.
  absl::Status Receive(Id id, Receipt receipt, const Digest& digest);
  // Something came from it, or from who is not attached (0), that is no
  // receipt. `intent`: the effect that it was for, where so much can be read.
  // If `id` holds that, it is answered with an error: it would come again.
  void Refuse(Id id, std::string_view executor, std::string_view reason,
              const Digest& digest, const std::optional<Digest>& intent);

  const Bytes& world_id() const;
  std::uint64_t opening_epoch() const;
  std::chrono::milliseconds lease() const;

 private:
  class Core;
  // Threads of executors that do not return outlive the dispatcher, and see it.
  std::shared_ptr<Core> core_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_DISPATCHER_H_
