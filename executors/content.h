// Bytes on their way into an effect and out of it.

#ifndef REENACT_EXECUTORS_CONTENT_H_
#define REENACT_EXECUTORS_CONTENT_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/executors/executor.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

// What a parameter stands for: a text with its references to secrets replaced,
// a byte string as it is, or {"blob": digest}, the blob. Null: nothing.
//
// InvalidArgument: it is none of these, or more than `max` bytes. NotFound,
// DataLoss: as from BlobStore and Secrets. Messages begin with `field`.
absl::StatusOr<Bytes> ContentOf(std::string_view field,
                                const cbor::Value* value, Task& task,
                                std::uint64_t max);

// Puts what came back into an answer, without secrets: into `payload` under
// `name`, as a byte string of at most `inline_max` bytes or as {"blob": digest,
// "size": bytes}, and as evidence of that name. The digest is of what is kept,
// that is without secrets, too.
//
// FailedPrecondition: too large, and there is no blob store. Others: as from
// BlobStore::Put().
absl::Status KeepContent(std::string_view name, BytesView bytes,
                         std::uint64_t inline_max, Task& task,
                         cbor::Value* payload, Answer* answer);

// A text, or a byte string if it is not UTF-8, which a CBOR text has to be.
cbor::Value TextValue(std::string text);

// A digest as parameter and in payloads: a byte string of 32 bytes.
cbor::Value DigestValue(const Digest& digest);
absl::StatusOr<Digest> DigestOf(const cbor::Value& value);

// `status` as an answer: a text without secrets, transient if trying again may
// help. DeadlineExceeded reaches kPerhaps in any case.
Answer AnswerOf(const absl::Status& status, Task& task, Amounts usage = {},
                Reach reach = Reach::kKnown);

// How much time is left until the task's deadline, at most `limit`; not below
// 0.
std::chrono::milliseconds TimeLeft(const Task& task,
                                   std::chrono::milliseconds limit);

// An answer of status cancelled.
Answer Cancelled(Amounts usage = {});

}  // namespace reenact

#endif  // REENACT_EXECUTORS_CONTENT_H_
