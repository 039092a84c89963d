// What a step wants done outside.

#ifndef REENACT_KERNEL_EFFECT_H_
#define REENACT_KERNEL_EFFECT_H_

#include <string>

#include "reenact/kernel/bytes.h"

namespace reenact {

// A wish to act on the outside, recorded with the step that has it. Nothing
// carries intents out yet; they stand in the journal, in order.
struct EffectIntent {
  std::string kind;        // "http.request"
  std::string capability;  // the grant it is made under; may be empty
  Bytes params;            // one canonical CBOR item
  Bytes idempotency;       // business data that identifies it; may be empty

  friend bool operator==(const EffectIntent&, const EffectIntent&) = default;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_EFFECT_H_
