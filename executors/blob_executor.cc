#include "reenact/executors/blob_executor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/executors/blob_store.h"
#include "reenact/executors/content.h"
#include "reenact/executors/params.h"

namespace reenact {
namespace {

Amounts UsageOf(std::uint64_t bytes) {
  return {{"calls", 1}, {"bytes", bytes}};
}

absl::Status NoStore() {
  return absl::FailedPreconditionError("there is no blob store here");
}

absl::StatusOr<Bytes> BytesToPut(const OpenEffect& effect) {
  Params params(effect.params);
  const cbor::Value* const bytes = params.Any("bytes");
  const cbor::Value* const text = params.Any("text");
  if (params.ok() && (bytes == nullptr) == (text == nullptr)) {
    params.Fail("bytes", "or \"text\" must be there, and not both");
  } else if (bytes != nullptr && !bytes->IsBytes()) {
    params.Fail("bytes", "must be a byte string");
  } else if (text != nullptr && !text->IsText()) {
    params.Fail("text", "must be a text");
  }
  REENACT_RETURN_IF_ERROR(params.Finish());
  return Bytes(bytes != nullptr ? *bytes->AsBytes() : *text->AsText());
}

struct Wanted {
  Digest digest;
  std::uint64_t max = 0;
};

absl::StatusOr<Wanted> BlobToGet(const OpenEffect& effect,
                                 std::uint64_t bytes_max) {
  Params params(effect.params);
  const auto most = static_cast<std::int64_t>(bytes_max);
  Wanted wanted;
  wanted.max = static_cast<std::uint64_t>(params.Integer("max", most, 0, most));
  const cbor::Value* const digest = params.Any("digest");
  if (digest == nullptr) params.Fail("digest", "is missing");
  REENACT_RETURN_IF_ERROR(params.Finish());
  REENACT_ASSIGN_OR_RETURN(wanted.digest, DigestOf(*digest));
  return wanted;
}

}  // namespace

Answer BlobPutExecutor::Execute(Task& task) {
  const absl::StatusOr<Bytes> bytes = BytesToPut(task.effect());
  if (!bytes.ok()) return AnswerOf(bytes.status(), task);
  if (task.blobs() == nullptr) return AnswerOf(NoStore(), task);
  const absl::StatusOr<Digest> digest = task.blobs()->Put(*bytes);
  if (!digest.ok()) return AnswerOf(digest.status(), task);
  const std::uint64_t size = bytes->size();
  Answer answer = Answer::Ok(cbor::Value::Map({{"digest", DigestValue(*digest)},
                                               {"size", cbor::Value(size)}}),
                             UsageOf(size));
  answer.evidence.push_back(Evidence{"blob", *digest, size});
  return answer;
}

Answer BlobGetExecutor::Execute(Task& task) {
  const absl::StatusOr<Wanted> wanted = BlobToGet(task.effect(), bytes_max_);
  if (!wanted.ok()) return AnswerOf(wanted.status(), task);
  if (task.blobs() == nullptr) return AnswerOf(NoStore(), task);
  absl::StatusOr<Bytes> bytes = task.blobs()->Get(wanted->digest, wanted->max);
  if (absl::IsResourceExhausted(bytes.status())) {  // trying again is no help
    bytes = absl::OutOfRangeError(bytes.status().message());
  }
  if (!bytes.ok()) return AnswerOf(bytes.status(), task);
  const std::uint64_t size = bytes->size();
  Answer answer = Answer::Ok(
      cbor::Value::Map({{"bytes", cbor::Value::ByteString(*std::move(bytes))}}),
      UsageOf(size));
  answer.evidence.push_back(Evidence{"blob", wanted->digest, size});
  return answer;
}

}  // namespace reenact
