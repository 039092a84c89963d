#include "reenact/kernel/effect.h"

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
