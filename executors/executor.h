// What carries out one kind of effect.
//
//   class Mail final : public reenact::Executor {
//    public:
//     std::string_view kind() const override { return "mail.send"; }
//     Answer Execute(Task& task) override {
//       ...send it, with task.effect().idempotency_key as Message-ID...
//       return Answer::Ok(cbor::Value::Map({{"accepted", true}}));
//     }
//   };

#ifndef REENACT_EXECUTORS_EXECUTOR_H_
#define REENACT_EXECUTORS_EXECUTOR_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {

class BlobStore;
class Secrets;

// How far an attempt that failed came. This, and nothing else, is what tells
// the status error from the status timeout: spec/executors.md has every case.
enum class Reach : std::uint8_t {
  // Nothing of what was asked for was done: it never left, or it was refused,
  // or it ended by itself and said how. Status error.
  kKnown,
  // Somebody may have acted on it, in part or whole: nobody knows. Status
  // timeout.
  kPerhaps,
};

// What came of carrying out an effect once.
struct Answer {
  ReceiptStatus status = ReceiptStatus::kOk;
  Bytes payload;  // one canonical CBOR item
  Amounts usage;
  std::vector<Evidence> evidence;
  // Not an answer yet: worth another try, which the dispatcher makes if the
  // retry policy allows one; if not, the rest is the answer.
  bool transient = false;
  // The other side asked for so much patience before that try.
  std::optional<std::chrono::milliseconds> retry_after;

  static Answer Ok(const cbor::Value& payload, Amounts usage = {});
  // A map with "error": `message`, which holds no secret and no payload.
  static Answer Error(std::string_view message, Amounts usage = {});
  static Answer Transient(std::string_view message, Amounts usage = {});
  // The same of status timeout.
  static Answer Unknown(std::string_view message, Amounts usage = {});
};

// `answer`, given that an attempt before it may have been carried out: a
// refusal now says nothing of what was done then, so an error becomes a
// timeout. The payload says why, as "earlier".
Answer InDoubt(Answer answer);

// One effect on its way, as its executor sees it.
//
// Thread safety: one executor's thread; cancelled() and cancel_fd() from any.
class Task {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Task() = default;

  virtual const OpenEffect& effect() const = 0;
  // From 1; more if anybody may have begun it before. The idempotency key is
  // the same in each.
  virtual std::uint32_t attempt() const = 0;

  // When the executor must have returned; what takes longer is answered with
  // status timeout by it.
  virtual Clock::time_point deadline() const = 0;
  // The effect is not wanted any more: return soon with status cancelled. The
  // descriptor becomes readable then, for those who wait in poll().
  virtual bool cancelled() const = 0;
  virtual int cancel_fd() const = 0;

  // What large values go to and come from, by digest. Null: there is none.
  virtual BlobStore* blobs() = 0;
  // What references to secrets stand for; see secrets.h.
  virtual const Secrets& secrets() const = 0;
};

// Carries out effects of one kind. Outside of history: it may look at clocks,
// keep state, and fail; all that a world ever sees of it is the receipt.
//
// Thread safety: the dispatcher calls Execute() from several threads at once,
// at most as many as its limit for the kind says.
class Executor {
 public:
  virtual ~Executor() = default;

  // The effect kind that it is for; constant for life.
  virtual std::string_view kind() const = 0;

  // Carries the effect out and says what came of it. It is called again for the
  // same effect after a crash, or when a lease went to another process, so what
  // can be handed the idempotency key should be. Returns by task.deadline().
  // Never throws for what the outside did; what it throws all the same becomes
  // an answer with status timeout, as nobody knows what it had done by then.
  virtual Answer Execute(Task& task) = 0;

  // What an attempt has used of which nothing is known but that it was begun.
  virtual Amounts LeastUsage() const { return {}; }

  // Who has to answer for the effect to come to its end, a host say: effects
  // that wait for the same one leave room for others (KindOptions::per_peer).
  // Empty: nobody in particular. A function of the effect that takes no lock;
  // any thread.
  virtual std::string PeerOf(const OpenEffect& effect) const {
    (void)effect;
    return "";
  }
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_EXECUTOR_H_
