// What is set per effect kind, and what a dispatcher tells about itself.

#ifndef REENACT_EXECUTORS_OPTIONS_H_
#define REENACT_EXECUTORS_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reenact/executors/retry.h"
#include "reenact/executors/secrets.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact {

class AttemptLog;
class BlobStore;

// How effects of one kind are carried out in this process.
struct KindOptions {
  // Who signs their receipts, and with which key. No name: that of the kind.
  std::string executor;
  std::optional<SecretKey> key;

  // So many at a time at most. An executor that overran its deadline counts
  // until it returns.
  std::size_t concurrency = 8;
  // Of those, so many that wait for one peer (Executor::PeerOf) at most, so
  // that one that does not answer does not hold up the others. 0: as many as
  // there are.
  std::size_t per_peer = 4;
  // What one attempt may take, and all of them together with the waits between
  // them, from the first one on: of this process, if none are noted
  // (DispatcherOptions::attempts).
  std::chrono::milliseconds attempt_timeout{60'000};
  std::chrono::milliseconds overall_timeout{600'000};
  // An executor that has not returned so long after its deadline is answered
  // for with status timeout; what it returns later is dropped.
  std::chrono::milliseconds overrun{1'000};
  RetryPolicy retry;
};

struct DispatcherOptions {
  // What executors in this process get to see; see executor.h.
  Secrets secrets;
  BlobStore* blobs = nullptr;  // outlives the dispatcher
  // Notes of attempts in this process, and of those before it. Outlives the
  // dispatcher. Null: attempts count for as long as the process lives.
  AttemptLog* attempts = nullptr;

  // Which processes may attach, by the names that they give themselves, and
  // the kinds that each of them may take. What stands here is left to them: an
  // executor that is registered for the kind is not asked. Empty: whoever
  // attaches may take every kind that none is registered for.
  std::map<std::string, std::vector<std::string>, std::less<>> remotes;

  // How long a process may hold an effect without a sign of life.
  std::chrono::milliseconds lease{30'000};
  // When an effect is offered anew after the world refused a process's receipt
  // for it, and how often that may happen.
  RetryPolicy refused;
  // How a receipt that the world has no room for is submitted again; attempts
  // do not count.
  RetryPolicy full{.attempts_max = 0,
                   .first = std::chrono::milliseconds(1),
                   .longest = std::chrono::milliseconds(1'000)};
  // What Stop() allows executors to return in, once it has cancelled them.
  std::chrono::milliseconds cancel_wait{2'000};

  // 64 random bits; the machine's, if empty. For jitter only.
  std::function<std::uint64_t()> random;
};

// One kind, now.
struct KindStats {
  std::string kind;
  std::size_t open = 0;     // has no receipt yet
  std::size_t ready = 0;    // waits for somebody to carry it out
  std::size_t running = 0;  // in this process, overrun ones included
  bool served = false;      // somebody is there for it
  // Why the executor of this process is given none: its receipts would not
  // count. Empty: they would, or there is none.
  std::string barred;
};

// Where effects are, and what happened to them so far.
struct DispatcherStats {
  // Now; each open effect is in one of these.
  std::size_t ready = 0;     // waits for room, or for an executor
  std::size_t delayed = 0;   // waits until it may be tried again
  std::size_t offered = 0;   // to a process that has not claimed it yet
  std::size_t held = 0;      // under a lease, in this process or another
  std::size_t answered = 0;  // its receipt is on the way
  std::size_t stuck = 0;     // its receipts were refused too often
  std::size_t overdue = 0;   // its deadline has passed; the world will close it
  // What the world has said and was not looked at yet: openings, ends and
  // verdicts, which are in no other number.
  std::size_t unread = 0;
  std::size_t running = 0;   // executors in this process that have not returned
  std::size_t attached = 0;  // processes

  // So far.
  std::uint64_t opened = 0;  // effects that were made known
  std::uint64_t known = 0;   // were known already
  std::uint64_t closed = 0;
  std::uint64_t started = 0;  // attempts in this process
  std::uint64_t claimed = 0;  // leases of other processes
  std::uint64_t retries = 0;
  std::uint64_t overruns = 0;   // answered for with status timeout
  std::uint64_t thrown = 0;     // exceptions out of executors
  std::uint64_t late = 0;       // answers that nobody waited for any more
  std::uint64_t expired = 0;    // leases and offers
  std::uint64_t stale = 0;      // receipts without the current lease
  std::uint64_t malformed = 0;  // what was no receipt, or no frame
  std::uint64_t submitted = 0;  // receipts that the world took in
  std::uint64_t full = 0;       // times that it had no room
  std::uint64_t accepted = 0;   // its verdicts
  std::uint64_t duplicate = 0;
  std::uint64_t overtaken = 0;  // another receipt was there, or a cancellation
  std::uint64_t unknown = 0;    // it knew no such effect
  std::uint64_t refused = 0;    // unsigned, forged or malformed
  std::uint64_t undelivered = 0;  // the world ended first

  std::vector<KindStats> kinds;  // by name
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_OPTIONS_H_
