#include "reenact/kernel/authority/admission.h"

#include <algorithm>

#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/answer.h"

namespace reenact {
namespace {

absl::Status TooLong(std::string_view what, std::size_t size,
                     std::uint64_t most) {
  return absl::InvalidArgumentError(
      "the " + std::string(what) + " has " + std::to_string(size) +
      " bytes, more than " + std::to_string(most));
}

}  // namespace

absl::Status CheckEventSizes(std::string_view key, BytesView payload,
                             const Limits& limits) {
  if (key.size() > limits.key_bytes_max) {
    return TooLong("key", key.size(), limits.key_bytes_max);
  }
  if (payload.size() > limits.payload_bytes_max) {
    return TooLong("payload", payload.size(), limits.payload_bytes_max);
  }
  return absl::OkStatus();
}

absl::Status CheckAdmissible(const Input& input, const Limits& limits) {
  const Event& event = input.event;
  REENACT_RETURN_IF_ERROR(CheckEventSizes(event.key, event.payload, limits));
  if (!cbor::IsUtf8(event.key)) {
    return absl::InvalidArgumentError("the key is not UTF-8");
  }
  if (!cbor::IsUtf8(event.schema)) {
    return absl::InvalidArgumentError("the schema is not UTF-8");
  }
  if (input.submission_id.size() > kSubmissionIdBytesMax) {
    return TooLong("submission id", input.submission_id.size(),
                   kSubmissionIdBytesMax);
  }
  if (input.priority >= kPriorities) {
    return absl::InvalidArgumentError("the priority is above " +
                                      std::to_string(kPriorities - 1));
  }
  if (event.schema == kAnswerSchema) {
    return absl::InvalidArgumentError(
        "the schema \"" + std::string(kAnswerSchema) +
        "\" is for answers to effects; send a receipt instead");
  }
  absl::Status payload = cbor::Validate(event.payload);
  return payload.ok() ? payload : Annotate(payload, "the payload");
}

absl::Status CheckReducer(std::string_view reducer,
                          const std::vector<std::string>& table) {
  if (std::find(table.begin(), table.end(), reducer) != table.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "no reducer " +
      cbor::Diagnose(cbor::EncodeText(cbor::ToUtf8(reducer.substr(0, 100)))) +
      " in this world");
}

absl::Status CheckAdmissible(const Input& input, const WorldConfig& config) {
  REENACT_RETURN_IF_ERROR(CheckReducer(input.event.reducer, config.reducers));
  return CheckAdmissible(input, config.limits);
}

}  // namespace reenact
