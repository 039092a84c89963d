// Effects to carry out, and what was made of them.

#ifndef REENACT_TESTS_EXECUTORS_OPEN_EFFECTS_H_
#define REENACT_TESTS_EXECUTORS_OPEN_EFFECTS_H_

#include <string>
#include <string_view>

#include "reenact/kernel/effects/effect.h"

namespace reenact {

inline Bytes WorldId() { return Bytes(16, 'w'); }

// The effect of ticket `number`, whose parameters are that number.
inline OpenEffect EffectOf(std::uint64_t number, std::string_view kind = "do") {
  OpenEffect effect;
  effect.event_id = EventId{number};
  effect.origin = {"orders", std::to_string(number)};
  effect.kind = std::string(kind);
  effect.params = cbor::EncodeInteger(static_cast<std::int64_t>(number));
  effect.idempotency_key =
      IdempotencyKey(WorldId(), "", effect.event_id, effect.index);
  effect.intent_hash = IntentHash(effect.kind, effect.params, effect.capability,
                                  effect.idempotency_key);
  return effect;
}

inline Digest IntentOf(std::uint64_t number, std::string_view kind = "do") {
  return EffectOf(number, kind).intent_hash;
}

}  // namespace reenact

#endif  // REENACT_TESTS_EXECUTORS_OPEN_EFFECTS_H_
