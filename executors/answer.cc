#include <utility>

#include "reenact/executors/content.h"
#include "reenact/executors/executor.h"

namespace reenact {

Answer Answer::Ok(const cbor::Value& payload, Amounts usage) {
  Answer answer;
  answer.payload = payload.Encode();
  answer.usage = std::move(usage);
  return answer;
}

Answer Answer::Error(std::string_view message, Amounts usage) {
  Answer answer;
  answer.status = ReceiptStatus::kError;
  answer.payload =
      cbor::Value::Map({{"error", TextValue(std::string(message))}}).Encode();
  answer.usage = std::move(usage);
  return answer;
}

Answer Answer::Transient(std::string_view message, Amounts usage) {
  Answer answer = Error(message, std::move(usage));
  answer.transient = true;
  return answer;
}

Answer Answer::Unknown(std::string_view message, Amounts usage) {
  Answer answer = Error(message, std::move(usage));
  answer.status = ReceiptStatus::kTimeout;
  return answer;
}

Answer InDoubt(Answer answer) {
  if (answer.status != ReceiptStatus::kError) return answer;
  answer.status = ReceiptStatus::kTimeout;
  absl::StatusOr<cbor::Value> payload = cbor::Value::Parse(answer.payload);
  if (payload.ok() && payload->IsMap()) {
    payload->Set("earlier", "an attempt before this may have been carried out");
    answer.payload = payload->Encode();
  }
  return answer;
}

}  // namespace reenact
