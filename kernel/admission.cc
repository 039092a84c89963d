#include "reenact/kernel/admission.h"

#include <algorithm>

#include "reenact/kernel/answer.h"
#include "reenact/kernel/cbor.h"

namespace reenact {
namespace {

absl::Status Inadmissible(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status CheckSize(std::string_view what, std::size_t size,
                       std::uint64_t most) {
  if (size <= most) return absl::OkStatus();
  return Inadmissible("the " + std::string(what) + " has " + std::to_string(size) +
                " bytes, more than " + std::to_string(most));
}

}  // namespace

absl::Status CheckEventSizes(std::string_view key, BytesView payload,
                             const Limits& limits) {
  REENACT_RETURN_IF_ERROR(CheckSize("key", key.size(), limits.key_bytes_max));
  return CheckSize("payload", payload.size(), limits.payload_bytes_max);
}

absl::Status CheckAdmissible(const Input& input, const Limits& limits) {
  const Event& event = input.event;
  REENACT_RETURN_IF_ERROR(CheckEventSizes(event.key, event.payload, limits));
  if (!cbor::IsUtf8(event.key)) return Inadmissible("the key is not UTF-8");
  if (!cbor::IsUtf8(event.schema)) return Inadmissible("the schema is not UTF-8");
  REENACT_RETURN_IF_ERROR(CheckSize(
      "submission id", input.submission_id.size(), kSubmissionIdBytesMax));
  if (input.priority >= kPriorities) {
    return Inadmissible("the priority is above " + std::to_string(kPriorities - 1));
  }
  if (event.schema == kAnswerSchema) {
    return Inadmissible("the schema \"" + std::string(kAnswerSchema) +
                  "\" is for answers to effects; send a receipt instead");
  }
  return Annotate(cbor::Validate(event.payload), "the payload");
}

absl::Status CheckReducer(std::string_view reducer,
                          const std::vector<std::string>& table) {
  if (std::find(table.begin(), table.end(), reducer) != table.end()) {
    return absl::OkStatus();
  }
  return Inadmissible("no reducer " +
                cbor::Diagnose(cbor::EncodeText(
                    cbor::ToUtf8(reducer.substr(0, 100)))) +
                " in this world");
}

}  // namespace reenact
