// Large values beside a world, by digest.

#ifndef REENACT_EXECUTORS_BLOB_STORE_H_
#define REENACT_EXECUTORS_BLOB_STORE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/hash.h"

namespace reenact {

namespace posix {
class Directory;
}

// Content-addressed files: DIRECTORY/ab/cdef..., named by BLAKE2b-256 of what
// is in them, made whole or not at all (temporary name, sync, rename, sync of
// the folder), never changed. A world's are in its `blobs/`. What was opened
// stays the same store when its directory is moved and another one gets its
// name.
//
// Thread safety: any thread, and any process.
class BlobStore {
 public:
  // Makes the directory if need be. PermissionDenied, ResourceExhausted,
  // Unavailable: what the system said, with the path.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(std::string directory);
  // For who only reads: makes nothing, and the directory need not be there.
  static BlobStore ToRead(std::string directory) {
    return BlobStore(nullptr, std::move(directory));
  }

  // The same bytes twice are one file. ResourceExhausted: the disk is full;
  // nothing is left behind.
  absl::StatusOr<Digest> Put(BytesView bytes);
  // The same with a file's bytes, in a part of memory that does not depend on
  // its size. `size` may be null.
  absl::StatusOr<Digest> PutFile(const std::string& path, std::uint64_t* size);

  // NotFound: no such blob. DataLoss: what is there does not have this digest;
  // the message names the file. ResourceExhausted: it has more than `max`
  // bytes. FailedPrecondition: a link or a folder is in its place. Putting the
  // same bytes again mends a blob that is damaged.
  absl::StatusOr<Bytes> Get(const Digest& digest, std::uint64_t max) const;
  // Copies it to a file that is made or replaced, checking as it goes.
  absl::Status GetFile(const Digest& digest, const std::string& path) const;
  bool Has(const Digest& digest) const;
  // OK: it is there, whole. Else as Get().
  absl::Status Check(const Digest& digest) const;

  // Where it is, or would be, now.
  std::string PathOf(const Digest& digest) const;

 private:
  BlobStore(std::shared_ptr<const posix::Directory> opened,
            std::string directory);

  // Through the directory that was opened.
  std::string FolderOf(const Digest& digest) const;
  std::string BlobOf(const Digest& digest) const;
  absl::Status NeedFolder(const Digest& digest);

  const std::shared_ptr<const posix::Directory> opened_;  // null: of ToRead()
  const std::string directory_;                           // the way through it
  // The folders that are known to survive a crash, by first byte.
  std::array<std::atomic<bool>, 256> folders_{};
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_BLOB_STORE_H_
