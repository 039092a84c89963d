#include "reenact/journal/rocksdb/status_mapper.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string>
#include <system_error>

namespace reenact {
namespace {

bool Mentions(const std::string& text, std::initializer_list<int> errors) {
  return std::any_of(errors.begin(), errors.end(), [&text](int error) {
    return text.find(std::generic_category().message(error)) !=
           std::string::npos;
  });
}

// RocksDB passes on what most system errors are called, not their number.
absl::StatusCode IoErrorCode(const rocksdb::Status& status) {
  if (status.IsNoSpace()) {
    return absl::StatusCode::kResourceExhausted;
  }
  // That there is a database was established before.
  if (status.IsPathNotFound()) return absl::StatusCode::kDataLoss;
  const std::string text = status.ToString();
  if (Mentions(text, {EACCES, EPERM, EROFS})) {
    return absl::StatusCode::kPermissionDenied;
  }
  if (Mentions(text, {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE})) {
    return absl::StatusCode::kResourceExhausted;
  }
  return absl::StatusCode::kUnavailable;
}

absl::StatusCode CodeOf(const rocksdb::Status& status) {
  switch (status.code()) {
    case rocksdb::Status::kOk:
      return absl::StatusCode::kOk;
    case rocksdb::Status::kNotFound:
      return absl::StatusCode::kNotFound;
    case rocksdb::Status::kCorruption:
      return absl::StatusCode::kDataLoss;
    case rocksdb::Status::kIOError:
    // Its options are constants that it takes: what it calls invalid is that it
    // could not look at a file to see what the file system can do.
    case rocksdb::Status::kInvalidArgument:
      return IoErrorCode(status);
    case rocksdb::Status::kNotSupported:
      return absl::StatusCode::kFailedPrecondition;
    case rocksdb::Status::kBusy:
    case rocksdb::Status::kTimedOut:
    case rocksdb::Status::kTryAgain:
    case rocksdb::Status::kIncomplete:
    case rocksdb::Status::kAborted:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status StatusMapper::Error(const rocksdb::Status& status) const {
  return absl::Status(CodeOf(status), Message(status));
}

std::string StatusMapper::Message(const rocksdb::Status& status) const {
  std::string text = status.ToString();
  for (std::size_t at = text.find(opened_); at != std::string::npos;
       at = text.find(opened_, at)) {
    text.replace(at, opened_.size(), name_);
  }
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

}  // namespace reenact
