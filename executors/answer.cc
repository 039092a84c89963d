#include "reenact/executors/executor.h"

#include <utility>

#include "reenact/executors/content.h"

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

}  // namespace reenact
