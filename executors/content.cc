#include "reenact/executors/content.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/executors/blob_store.h"
#include "reenact/executors/params.h"
#include "reenact/executors/secrets.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

absl::StatusOr<Bytes> BlobContent(const cbor::Value& value, Task& task,
                                  std::uint64_t max) {
  const cbor::Value* name = value.Find("blob");
  if (name == nullptr || value.size() != 1) {
    return absl::InvalidArgumentError(
        "must be a text, a byte string, or {\"blob\": digest}");
  }
  REENACT_ASSIGN_OR_RETURN(const Digest digest, DigestOf(*name));
  if (task.blobs() == nullptr) {
    return absl::InvalidArgumentError("there is no blob store here");
  }
  return task.blobs()->Get(digest, max);
}

absl::StatusOr<Bytes> Resolve(const cbor::Value& value, Task& task,
                              std::uint64_t max) {
  if (value.IsText()) return task.secrets().Expand(*value.AsText());
  if (value.IsBytes()) return Bytes(*value.AsBytes());
  return BlobContent(value, task, max);
}

bool MayHelpAgain(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsDeadlineExceeded(status) || absl::IsAborted(status);
}

}  // namespace

cbor::Value TextValue(std::string text) {
  if (cbor::IsUtf8(text)) return cbor::Value(std::move(text));
  return cbor::Value::ByteString(std::move(text));
}

cbor::Value DigestValue(const Digest& digest) {
  return cbor::Value::ByteString(Bytes(digest.view()));
}

absl::StatusOr<Digest> DigestOf(const cbor::Value& value) {
  if (!value.IsBytes() || value.AsBytes()->size() != kDigestSize) {
    return absl::InvalidArgumentError(
        "a digest must be a byte string of 32 bytes");
  }
  return Digest::FromBytes(*value.AsBytes());
}

absl::StatusOr<Bytes> ContentOf(std::string_view field,
                                const cbor::Value* value, Task& task,
                                std::uint64_t max) {
  if (value == nullptr) return Bytes();
  absl::StatusOr<Bytes> bytes = Resolve(*value, task, max);
  if (bytes.ok() && bytes->size() > max) {
    bytes = absl::InvalidArgumentError(
        absl::StrCat("has ", bytes->size(), " bytes; the limit is ", max));
  } else if (absl::IsResourceExhausted(bytes.status())) {
    bytes = absl::InvalidArgumentError(bytes.status().message());
  }
  if (bytes.ok()) return bytes;
  return Annotate(bytes.status(), "parameter \"" + std::string(field) + "\"");
}

absl::Status KeepContent(std::string_view name, BytesView bytes,
                         std::uint64_t inline_max, Task& task,
                         cbor::Value* payload, Answer* answer) {
  Bytes kept = task.secrets().Redact(bytes);
  const std::uint64_t size = kept.size();
  Digest digest;
  if (size <= inline_max) {
    digest = Hash(kept);
    payload->Set(name, cbor::Value::ByteString(std::move(kept)));
  } else if (task.blobs() == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        ToAbsl(name), " has ", size, " bytes, more than the ", inline_max,
        " that go into a receipt, and there is no blob store for it"));
  } else {
    REENACT_ASSIGN_OR_RETURN(digest, task.blobs()->Put(kept));
    payload->Set(name, cbor::Value::Map({{"blob", DigestValue(digest)},
                                         {"size", cbor::Value(size)}}));
  }
  answer->evidence.push_back(Evidence{std::string(name), digest, size});
  return absl::OkStatus();
}

Answer AnswerOf(const absl::Status& status, Task& task, Amounts usage,
                Reach reach) {
  if (absl::IsCancelled(status)) return Cancelled(std::move(usage));
  Answer answer = Answer::Error(task.secrets().Redact(ToStd(status.message())),
                                std::move(usage));
  answer.transient = MayHelpAgain(status);
  if (reach == Reach::kPerhaps || absl::IsDeadlineExceeded(status)) {
    answer.status = ReceiptStatus::kTimeout;
  }
  return answer;
}

std::chrono::milliseconds TimeLeft(const Task& task,
                                   std::chrono::milliseconds limit) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::duration_cast<milliseconds>(
      task.deadline() - Task::Clock::now());
  return std::clamp(left, milliseconds(0), limit);
}

Answer Cancelled(Amounts usage) {
  Answer answer = Answer::Error("cancelled", std::move(usage));
  answer.status = ReceiptStatus::kCancelled;
  return answer;
}

}  // namespace reenact
