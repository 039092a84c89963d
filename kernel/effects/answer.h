// What a reducer gets in answer to an effect that it intended.
//
//   absl::Status Step(reenact::StepContext& step) const override {
//     if (step.event().schema == reenact::kAnswerSchema) {
//       auto answer = reenact::EffectAnswer::Parse(step.payload());
//       if (!answer.ok()) return answer.status();
//       if (answer->status == reenact::ReceiptStatus::kOk) ...
//     }

#ifndef REENACT_KERNEL_EFFECTS_ANSWER_H_
#define REENACT_KERNEL_EFFECTS_ANSWER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// The schema of the events that bring answers. Nobody else may use it: what
// comes from outside or is raised with it is refused.
inline constexpr std::string_view kAnswerSchema = "reenact.answer";

// The payload of such an event: a CBOR map with text keys. What is empty is
// left out.
struct EffectAnswer {
  Digest intent_hash;       // "intent": 32 bytes
  EventId event_id;         // "event": the step that intended it
  std::uint32_t index = 0;  // "index": among that step's intents
  std::string kind;         // "kind"
  ReceiptStatus status = ReceiptStatus::kOk;  // "status": its name
  cbor::Value payload;   // "payload": the receipt's; null: there is none
  Amounts usage;         // "usage"
  std::string executor;  // "executor"
  std::vector<Evidence> evidence;  // "evidence": [name, digest, size] each
  std::string reason;              // "reason": why, if no executor answered
  bool cached = false;  // "cached": true, if another intent's receipt answers

  Bytes Encode() const;
  // InvalidArgument: no such map.
  static absl::StatusOr<EffectAnswer> Parse(BytesView payload);
};

}  // namespace reenact

#endif  // REENACT_KERNEL_EFFECTS_ANSWER_H_
