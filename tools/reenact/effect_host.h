// The executors of this command around one world.

#ifndef REENACT_TOOLS_REENACT_EFFECT_HOST_H_
#define REENACT_TOOLS_REENACT_EFFECT_HOST_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/executors/attempt_log.h"
#include "reenact/executors/blob_store.h"
#include "reenact/executors/dispatcher.h"
#include "reenact/executors/inbox.h"
#include "reenact/executors/server.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/effects/retry_rule.h"
#include "reenact/world/effects.h"
#include "reenact/world/world.h"

namespace reenact::tools {

struct EffectHostOptions {
  std::string world;            // its directory
  std::string secrets;          // a directory of them; empty: none
  std::string socket;           // for executors of other processes; empty: none
  std::size_t concurrency = 8;  // effects of one kind at a time
  std::size_t per_peer = 4;     // KindOptions::per_peer
  RetryRule retry;              // where neither intent nor policy says
  std::vector<std::pair<std::string, std::string>> messages;  // name, directory
  // Names of processes that may attach, and the kinds that are left to each;
  // see DispatcherOptions::remotes.
  std::map<std::string, std::vector<std::string>, std::less<>> remotes;
  std::optional<SecretKey> key;  // signs what this command answers
  bool public_only = false;      // HttpOptions::public_only
};

// Carries out the effects of a world: http.request, process.run, blob.put,
// blob.get and message.send here, whatever else in processes that attach.
//
// Thread safety: none; one thread drives the world and this.
class EffectHost final : private ReceiptSink {
 public:
  explicit EffectHost(EffectHostOptions options);
  ~EffectHost() override;

  // What the world is opened with. What it hears before Start() is kept.
  EffectListener* listener() { return &relay_; }

  // Begins, once the world is open. InvalidArgument and others: the secrets,
  // the blobs, the socket.
  absl::Status Start(World* world);

  // Runs the world, its inbox and its effects until nothing is left to do but
  // what waits for an approval, or for an executor that is not there; or until
  // `stopped` says so, which is asked often. Cancelled: it did.
  absl::Status Serve(const std::function<bool()>& stopped);

  // What is to be said once it has begun; a line each.
  std::vector<std::string> OpeningNotes() const;

  // Lets what runs end within `grace`. Open effects stay open.
  absl::Status Stop(std::chrono::milliseconds grace);

  // What is to be said about effects that are left, and messages that were
  // refused; a line each.
  std::vector<std::string> Notes() const;

 private:
  // Keeps what is said until there is a dispatcher.
  class Relay final : public EffectListener {
   public:
    void Open(const OpenEffect& effect) override;
    void Closed(const Digest& intent_hash) override;
    void Listed(const Policy::Executors& executors) override;
    void PassTo(Dispatcher* dispatcher);

   private:
    std::mutex mutex_;
    Dispatcher* to_ = nullptr;
    std::vector<OpenEffect> open_;
    Policy::Executors listed_;
  };

  // ReceiptSink: the world's, and somebody who waits is woken.
  absl::Status SubmitReceipt(Receipt receipt, Done done) override;
  void RefuseReceipt(std::string_view executor, std::string_view reason,
                     const Digest& digest) override;
  std::chrono::microseconds TimeUntil(LogicalTime time) const override {
    return world_->TimeUntil(time);
  }

  absl::Status MakeDispatcher();
  absl::Status RegisterAll();
  void Wake();
  void WaitAWhile();
  bool Idle() const;

  const EffectHostOptions options_;
  World* world_ = nullptr;
  Relay relay_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<AttemptLog> attempts_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<ExecutorServer> server_;
  std::unique_ptr<InboxSource> inbox_;

  std::mutex mutex_;
  std::condition_variable woken_;
  bool awake_ = false;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_EFFECT_HOST_H_
