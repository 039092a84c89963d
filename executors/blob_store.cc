#include "reenact/executors/blob_store.h"

#include <fcntl.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "reenact/base/posix_file.h"
#include "reenact/executors/new_file.h"

namespace reenact {
namespace {

constexpr std::size_t kChunk = 256 << 10;

using Sink = std::function<absl::Status(BytesView)>;

// Reads `file` to its end, hands each part to `sink`, and returns the digest of
// them all.
absl::StatusOr<Digest> ReadThrough(posix::File& file, const Sink& sink) {
  Hasher hasher;
  Bytes chunk;
  do {
    REENACT_RETURN_IF_ERROR(file.Read(kChunk, &chunk));
    hasher.Add(chunk);
    REENACT_RETURN_IF_ERROR(sink(chunk));
  } while (chunk.size() == kChunk);
  return hasher.Finish();
}

absl::Status IgnoreBytes(BytesView) { return absl::OkStatus(); }

absl::Status Damaged(const std::string& path) {
  return absl::DataLossError(
      ToAbsl("'" + posix::Shown(path) +
             "': its bytes do not have the digest that is its name; put the "
             "same bytes again, or restore the file"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(
    std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(directory));
  REENACT_RETURN_IF_ERROR(posix::SyncParent(directory));
  REENACT_ASSIGN_OR_RETURN(posix::Directory opened,
                           posix::Directory::Open(directory));
  std::string path = opened.path();
  REENACT_RETURN_IF_ERROR(NewFile::RemoveAbandoned(path));
  return std::unique_ptr<BlobStore>(
      new BlobStore(std::make_shared<const posix::Directory>(std::move(opened)),
                    std::move(path)));
}

BlobStore::BlobStore(std::shared_ptr<const posix::Directory> opened,
                     std::string directory)
    : opened_(std::move(opened)), directory_(std::move(directory)) {}

std::string BlobStore::FolderOf(const Digest& digest) const {
  return directory_ + "/" + digest.ToHex().substr(0, 2);
}

std::string BlobStore::BlobOf(const Digest& digest) const {
  return FolderOf(digest) + "/" + digest.ToHex().substr(2);
}

std::string BlobStore::PathOf(const Digest& digest) const {
  return posix::Shown(BlobOf(digest));
}

absl::Status BlobStore::NeedFolder(const Digest& digest) {
  std::atomic<bool>& known = folders_[digest.bytes[0]];
  if (known) return absl::OkStatus();
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(FolderOf(digest)));
  REENACT_RETURN_IF_ERROR(posix::SyncDirectory(directory_));
  known = true;
  return absl::OkStatus();
}

absl::StatusOr<Digest> BlobStore::Put(BytesView bytes) {
  const Digest digest = Hash(bytes);
  REENACT_RETURN_IF_ERROR(NeedFolder(digest));
  const std::string path = BlobOf(digest);
  if (Check(digest).ok()) {
    // Whoever put it may not have come to the sync of the folder yet.
    REENACT_RETURN_IF_ERROR(posix::SyncDirectory(FolderOf(digest)));
    return digest;
  }
  REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(directory_));
  REENACT_RETURN_IF_ERROR(file.Append(bytes));
  REENACT_RETURN_IF_ERROR(file.Place(path));
  return digest;
}

absl::StatusOr<Digest> BlobStore::PutFile(const std::string& path,
                                          std::uint64_t* size) {
  REENACT_ASSIGN_OR_RETURN(posix::File source,
                           posix::File::Open(path, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(directory_));
  std::uint64_t count = 0;
  REENACT_ASSIGN_OR_RETURN(const Digest digest,
                           ReadThrough(source, [&](BytesView part) {
                             count += part.size();
                             return file.Append(part);
                           }));
  if (size != nullptr) *size = count;
  REENACT_RETURN_IF_ERROR(NeedFolder(digest));
  REENACT_RETURN_IF_ERROR(file.Place(BlobOf(digest)));
  return digest;
}

absl::StatusOr<Bytes> BlobStore::Get(const Digest& digest,
                                     std::uint64_t max) const {
  const std::string path = BlobOf(digest);
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  if (size > max) {
    return absl::ResourceExhaustedError(
        ToAbsl("'" + posix::Shown(path) + "': it has " + std::to_string(size) +
               " bytes, and " + std::to_string(max) + " were asked for"));
  }
  Bytes bytes;
  REENACT_RETURN_IF_ERROR(file.Read(size, &bytes));
  if (Hash(bytes) != digest) return Damaged(path);
  return bytes;
}

absl::Status BlobStore::GetFile(const Digest& digest,
                                const std::string& path) const {
  const std::string blob = BlobOf(digest);
  REENACT_ASSIGN_OR_RETURN(posix::File source,
                           posix::File::Open(blob, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(posix::ParentOf(path)));
  REENACT_ASSIGN_OR_RETURN(
      const Digest found,
      ReadThrough(source, [&](BytesView part) { return file.Append(part); }));
  if (found != digest) return Damaged(blob);
  return file.Place(path);
}

absl::Status BlobStore::Check(const Digest& digest) const {
  const std::string path = BlobOf(digest);
  REENACT_ASSIGN_OR_RETURN(posix::File file, posix::File::Open(path, O_RDONLY));
  REENACT_ASSIGN_OR_RETURN(const Digest found, ReadThrough(file, IgnoreBytes));
  return found == digest ? absl::OkStatus() : Damaged(path);
}

bool BlobStore::Has(const Digest& digest) const {
  const auto kind = posix::KindOfPath(BlobOf(digest));
  return kind.ok() && *kind == posix::Kind::kFile;
}

}  // namespace reenact
