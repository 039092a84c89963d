// A file that is there whole or not at all.

#ifndef REENACT_EXECUTORS_NEW_FILE_H_
#define REENACT_EXECUTORS_NEW_FILE_H_

#include <string>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/base/posix_file.h"
#include "reenact/base/status.h"

namespace reenact {

// Written under a temporary name, then put in its place. Whatever ends the
// process in between leaves at most the temporary file, locked for as long as
// its writer lives, so that RemoveAbandoned() can tell.
//
//   REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(directory));
//   REENACT_RETURN_IF_ERROR(file.Append(bytes));
//   return file.Place(directory + "/name");
//
// Thread safety: none; any number of threads and processes may have one each in
// the same directory.
class NewFile {
 public:
  // Begins one. ResourceExhausted, PermissionDenied ...: what the system said.
  static absl::StatusOr<NewFile> In(const std::string& directory);

  NewFile(NewFile&& other) noexcept
      : file_(std::move(other.file_)),
        placed_(std::exchange(other.placed_, true)) {}
  NewFile& operator=(NewFile&&) = delete;
  // Removes it, unless it was placed.
  ~NewFile();

  absl::Status Append(BytesView bytes);
  // Syncs what was written, names it `path`, whatever was there before, and
  // syncs the directory of that name. REQUIRES: the same file system.
  absl::Status Place(const std::string& path);

  // Whether a name in a directory is one of a temporary file.
  static bool IsTemporaryName(std::string_view name);
  // Removes the temporary files in `directory` that nobody writes any more.
  static absl::Status RemoveAbandoned(const std::string& directory);

 private:
  explicit NewFile(posix::File file) : file_(std::move(file)) {}

  posix::File file_;
  bool placed_ = false;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_NEW_FILE_H_
