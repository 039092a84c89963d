// What a step wants done outside, and what identifies it.

#ifndef REENACT_KERNEL_EFFECTS_EFFECT_H_
#define REENACT_KERNEL_EFFECTS_EFFECT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/effects/retry_rule.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// A wish to act on the outside, recorded with the step that has it. At commit
// the gate decides whether it is queued, held for approval, answered from an
// earlier receipt, or refused; spec/effects.md has the rules.
//
//   step.Intend({.kind = "http.request",
//                .capability = "crawler",
//                .params = params.Encode(),
//                .idempotency = order_number,
//                .reserve = {{"calls", 1}}});
struct EffectIntent {
  std::string kind;        // "http.request"; names the executor
  std::string capability;  // the grant it is made under; may be empty
  Bytes params;            // one canonical CBOR item
  Bytes idempotency{};     // business data that identifies it; may be empty

  // What it may cost at most; taken from the grant until its receipt says what
  // it did cost. REQUIRES (else the effect is refused): a capability, if not
  // empty.
  Amounts reserve{};
  // A refusal fails the step instead of coming back as a receipt.
  bool must_pass = false;
  // From this logical time on it is answered with a receipt of status timeout.
  std::optional<LogicalTime> deadline{};
  // May be answered by a recorded receipt of the same kind and params under the
  // same scope, if the policy says how long such receipts live. Empty: never.
  std::string cache_scope{};
  // Business data that says which act of this world it is ("charge order 17"),
  // whoever intends it and however often. While one with the same identity is
  // with an executor, and once that was answered ok, its answer is this one's,
  // too; after a timeout, an error or a cancellation it goes out again, under
  // the same idempotency key. Empty: each intent is an act of its own. With it
  // `idempotency` and `cache_scope` are not looked at.
  // REQUIRES (else the effect is refused): the kind, params and capability that
  // others of the identity have. (else the step fails): a world of format 3.
  Bytes identity{};
  // How often it is tried; what it does not say, the policy does, or else who
  // carries it out. REQUIRES (else the step fails): valid; a world of format 3.
  RetryRule retry{};

  friend bool operator==(const EffectIntent&, const EffectIntent&) = default;
};

// The key that an executor hands on, so that what it starts twice happens once.
//
//   BLAKE2b-256( domain "reenact.idempotency.v1", world id, business data with
//                its size, event_id, index )
//
// The same in every run and replay of a step, and different between any two
// intents of a world, and between worlds.
Digest IdempotencyKey(BytesView world_id, BytesView business, EventId event_id,
                      std::uint32_t index);

// The key of an intent that has a business identity: the same for all that have
// it, in one world.
//
//   BLAKE2b-256( domain "reenact.idempotency.v2", world id, identity, each with
//                its size )
Digest IdentityKey(BytesView world_id, BytesView identity);

// What receipts name an intent by.
//
//   BLAKE2b-256( domain "reenact.intent.v1", kind, params, capability, each
//   with
//                its size, key )
Digest IntentHash(std::string_view kind, BytesView params,
                  std::string_view capability, const Digest& idempotency_key);

// The same for one that has an identity, whose key does not tell it from
// others.
//
//   BLAKE2b-256( domain "reenact.intent.v2", kind, params, capability, each
//   with
//                its size, key, event_id, index )
Digest IntentHash(std::string_view kind, BytesView params,
                  std::string_view capability, const Digest& idempotency_key,
                  EventId event_id, std::uint32_t index);

// Both digests of an intent of a step.
struct IntentNames {
  Digest idempotency_key;
  Digest intent_hash;
};
IntentNames NamesOf(BytesView world_id, const EffectIntent& intent,
                    EventId event_id, std::uint32_t index);

// An intent that was queued and has no receipt yet: what executors see of it.
struct OpenEffect {
  Digest intent_hash;
  Digest idempotency_key;
  EventId event_id;         // of the step that has it
  std::uint32_t index = 0;  // among that step's intents
  CellId origin;
  std::string kind;
  std::string capability;
  Bytes params;
  Amounts reserved;
  LogicalTime queued;
  std::optional<LogicalTime> deadline{};
  RetryRule retry{};
  // It was open when the world was opened, or somebody else had it before: it
  // may have been begun, and nobody here knows what came of that. Not recorded.
  bool begun = false;

  friend bool operator==(const OpenEffect&, const OpenEffect&) = default;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_EFFECTS_EFFECT_H_
