// The door between a world and those who carry out its effects.

#ifndef REENACT_WORLD_EFFECTS_H_
#define REENACT_WORLD_EFFECTS_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/policy.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// Hears which effects are open, and who may answer them. Once the first round
// after World::Open() is durable, or Run() has found that there is none, it is
// told of all that are open, and from then on of each one after its block is
// durable; so it may hear of one more than once, in different runs. Of what has
// its deadline behind it by then it does not hear: the world closes that.
//
// Calls come from threads of the world, one at a time, which hold no lock of
// the world meanwhile: take a note and return; call nothing of the world from
// inside.
class EffectListener {
 public:
  virtual ~EffectListener() = default;

  // See to it that the effect is started: not twice, if it can be helped, but
  // once at least.
  virtual void Open(const OpenEffect& effect) = 0;
  // It has its receipt, or was cancelled or timed out: stop it if it runs, and
  // send nothing any more. Perhaps of one that was never told of.
  virtual void Closed(const Digest& intent_hash) = 0;
  // From here on the receipts of these executors count, and of no others; of
  // everybody, if there are none. World::Open() tells it first, if there are
  // any, and then each change of them is told before what was intended later.
  // An effect whose receipt cannot count is not to be started.
  virtual void Listed(const Policy::Executors& executors) { (void)executors; }
};

// Where receipts go. World is one; tests have others.
class ReceiptSink {
 public:
  virtual ~ReceiptSink() = default;

  // What became of a receipt once it is durable. Called once for each, unless
  // the world ends first; then with its error.
  //   OK: accepted. AlreadyExists: the same receipt was accepted before.
  //   FailedPrecondition: another was, or the effect was cancelled or timed out
  //   meanwhile. NotFound: no such effect is known. PermissionDenied: not
  //   signed as it must be, or not this executor's affair. InvalidArgument:
  //   malformed.
  using Done = std::function<void(const absl::Status& verdict)>;

  // Puts a receipt in line; any thread.
  // ResourceExhausted: no room now; nothing was recorded, try again later.
  virtual absl::Status SubmitReceipt(Receipt receipt, Done done) = 0;

  // Something came that is no receipt for this world: `reason` in a few words,
  // without anything of what it held, `digest` of its bytes. Recorded once for
  // each digest, and at most so many per round; the rest is counted.
  virtual void RefuseReceipt(std::string_view executor, std::string_view reason,
                             const Digest& digest) = 0;

  // How long it is until `time`: nothing, if that has come; the longest there
  // is, if nobody can say, since the machine's clock does not move the world's.
  // What has its deadline behind it is not started. Any thread; takes no lock.
  virtual std::chrono::microseconds TimeUntil(LogicalTime time) const {
    (void)time;
    return std::chrono::microseconds::max();
  }
};

}  // namespace reenact

#endif  // REENACT_WORLD_EFFECTS_H_
