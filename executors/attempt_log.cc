#include "reenact/executors/attempt_log.h"

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/executors/new_file.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/effects/retry_rule.h"

namespace reenact {
namespace {

constexpr std::size_t kFileBytesMax = 256 << 20;
// A file of more bytes, and of twice what it had when it was last written anew,
// is written anew.
constexpr std::size_t kRewriteBytes = 1 << 20;

// [intent, count, usage, in doubt, first, not before]; count 0: no more of it.
void Write(const Digest& intent, const PastAttempts& past, Bytes* out) {
  Bytes record;
  cbor::Encoder encoder(&record);
  encoder.Array(6);
  encoder.ByteString(intent.view());
  encoder.Unsigned(past.count);
  past.usage.Encode(encoder);
  encoder.Bool(past.in_doubt);
  encoder.Integer(past.first);
  encoder.Integer(past.not_before);
  // Its digest first: what is torn or damaged is told from what is whole.
  cbor::Encoder whole(out);
  whole.Array(2);
  whole.ByteString(Hash(record).view().substr(0, 8));
  whole.ByteString(record);
}

// False: there is no whole record.
bool ReadOne(cbor::Reader& reader, Digest* intent, PastAttempts* past) {
  reader.ExpectArray(2);
  const BytesView check = reader.ByteString();
  const BytesView record = reader.ByteString();
  if (!reader.ok() || Hash(record).view().substr(0, 8) != check) return false;
  cbor::Reader inner(record);
  inner.ExpectArray(6);
  const BytesView name = inner.ByteString();
  const auto digest = Digest::FromBytes(name);
  past->count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(inner.Unsigned(), UINT32_MAX));
  past->usage = Amounts::Decode(inner);
  past->in_doubt = inner.Bool();
  past->first = inner.Integer();
  past->not_before = inner.Integer();
  inner.ExpectEnd();
  if (!inner.ok() || !digest.ok()) return false;
  *intent = *digest;
  return true;
}

class AttemptFile final : public AttemptLog {
 public:
  explicit AttemptFile(posix::Directory directory)
      : directory_(std::move(directory)) {}

  absl::Status Begin(std::int64_t now);
  std::optional<PastAttempts> Find(const Digest& intent) const override;
  absl::Status Began(const Digest& intent, const Amounts& least,
                     std::int64_t now) override;
  void Ended(const Digest& intent, const PastAttempts& past) override;
  void Forget(const Digest& intent) override;

 private:
  std::string path() const { return directory_.path() + "/attempts"; }
  absl::Status Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Rewrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Note(const Digest& intent, const PastAttempts& past,
                    bool durable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const posix::Directory directory_;
  mutable Mutex mutex_;
  std::optional<posix::File> file_ ABSL_GUARDED_BY(mutex_);
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t rewritten_ ABSL_GUARDED_BY(mutex_) = 0;  // bytes_ then
  std::map<Digest, PastAttempts> past_ ABSL_GUARDED_BY(mutex_);
};

absl::Status AttemptFile::Begin(std::int64_t now) {
  constexpr auto kYear = static_cast<std::int64_t>(RetryRule::kMsMax);
  REENACT_RETURN_IF_ERROR(NewFile::RemoveAbandoned(directory_.path()));
  MutexLock lock(&mutex_);
  REENACT_RETURN_IF_ERROR(Read());
  std::erase_if(past_, [now](const auto& each) {
    return each.second.first < now - kYear;
  });
  return Rewrite();
}

absl::Status AttemptFile::Read() {
  REENACT_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes,
                           posix::ReadSmallFile(path(), kFileBytesMax));
  if (!bytes) return absl::OkStatus();
  cbor::Reader reader(*bytes);
  while (!reader.AtEnd()) {
    Digest intent;
    PastAttempts past;
    if (!ReadOne(reader, &intent, &past)) break;
    if (past.count == 0) {
      past_.erase(intent);
    } else {
      past_.insert_or_assign(intent, std::move(past));
    }
  }
  return absl::OkStatus();
}

absl::Status AttemptFile::Rewrite() {
  Bytes bytes;
  for (const auto& [intent, past] : past_) Write(intent, past, &bytes);
  REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(directory_.path()));
  REENACT_RETURN_IF_ERROR(file.Append(bytes));
  REENACT_RETURN_IF_ERROR(file.Place(path()));
  REENACT_ASSIGN_OR_RETURN(posix::File opened,
                           posix::File::Open(path(), O_WRONLY | O_APPEND));
  file_ = std::move(opened);
  bytes_ = rewritten_ = bytes.size();
  return absl::OkStatus();
}

absl::Status AttemptFile::Note(const Digest& intent, const PastAttempts& past,
                               bool durable) {
  // After one that failed the end of the file is unknown.
  if (!file_ || bytes_ > std::max(kRewriteBytes, 2 * rewritten_)) {
    file_.reset();
    return Rewrite();  // with this one in it
  }
  Bytes bytes;
  Write(intent, past, &bytes);
  absl::Status noted = file_->Append(bytes);
  if (noted.ok() && durable) noted = file_->Sync();
  if (!noted.ok()) file_.reset();
  bytes_ += bytes.size();
  return noted;
}

std::optional<PastAttempts> AttemptFile::Find(const Digest& intent) const {
  MutexLock lock(&mutex_);
  const auto found = past_.find(intent);
  if (found == past_.end()) return std::nullopt;
  return found->second;
}

absl::Status AttemptFile::Began(const Digest& intent, const Amounts& least,
                                std::int64_t now) {
  MutexLock lock(&mutex_);
  const auto [place, fresh] = past_.try_emplace(intent);
  const PastAttempts before = place->second;
  PastAttempts& past = place->second;
  if (fresh) past.first = now;
  ++past.count;
  past.usage.Add(least);
  past.in_doubt = true;
  past.not_before = 0;
  const absl::Status noted = Note(intent, past, true);
  if (noted.ok()) return noted;
  if (fresh) {
    past_.erase(place);
  } else {
    past = before;
  }
  return noted;
}

void AttemptFile::Ended(const Digest& intent, const PastAttempts& past) {
  MutexLock lock(&mutex_);
  const auto found = past_.find(intent);
  if (found == past_.end()) return;
  const std::int64_t first = found->second.first;
  found->second = past;
  found->second.first = first;
  Note(intent, found->second, false).IgnoreError();
}

void AttemptFile::Forget(const Digest& intent) {
  MutexLock lock(&mutex_);
  if (past_.erase(intent) == 0) return;
  Note(intent, PastAttempts(), false).IgnoreError();
}

}  // namespace

absl::StatusOr<std::unique_ptr<AttemptLog>> AttemptLog::Open(
    const std::string& directory, std::int64_t now) {
  REENACT_ASSIGN_OR_RETURN(posix::Directory opened,
                           posix::Directory::Open(directory));
  auto file = std::make_unique<AttemptFile>(std::move(opened));
  REENACT_RETURN_IF_ERROR(file->Begin(now));
  return file;
}

}  // namespace reenact
