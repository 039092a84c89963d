#include "reenact/kernel/effects/effect.h"

namespace reenact {

Digest IdempotencyKey(BytesView world_id, BytesView business, EventId event_id,
                      std::uint32_t index) {
  return Hasher("reenact.idempotency.v1")
      .AddSized(world_id)
      .AddSized(business)
      .AddU64(event_id.value)
      .AddU64(index)
      .Finish();
}

Digest IdentityKey(BytesView world_id, BytesView identity) {
  return Hasher("reenact.idempotency.v2")
      .AddSized(world_id)
      .AddSized(identity)
      .Finish();
}

Digest IntentHash(std::string_view kind, BytesView params,
                  std::string_view capability, const Digest& idempotency_key,
                  EventId event_id, std::uint32_t index) {
  return Hasher("reenact.intent.v2")
      .AddSized(kind)
      .AddSized(params)
      .AddSized(capability)
      .Add(idempotency_key.view())
      .AddU64(event_id.value)
      .AddU64(index)
      .Finish();
}

IntentNames NamesOf(BytesView world_id, const EffectIntent& intent,
                    EventId event_id, std::uint32_t index) {
  IntentNames names;
  if (intent.identity.empty()) {
    names.idempotency_key =
        IdempotencyKey(world_id, intent.idempotency, event_id, index);
    names.intent_hash = IntentHash(intent.kind, intent.params,
                                   intent.capability, names.idempotency_key);
  } else {
    names.idempotency_key = IdentityKey(world_id, intent.identity);
    names.intent_hash =
        IntentHash(intent.kind, intent.params, intent.capability,
                   names.idempotency_key, event_id, index);
  }
  return names;
}

Digest IntentHash(std::string_view kind, BytesView params,
                  std::string_view capability, const Digest& idempotency_key) {
  return Hasher("reenact.intent.v1")
      .AddSized(kind)
      .AddSized(params)
      .AddSized(capability)
      .Add(idempotency_key.view())
      .Finish();
}

}  // namespace reenact
