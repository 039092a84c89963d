#include "reenact/journal/rocksdb/rocksdb_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "reenact/base/disk_watch.h"
#include "reenact/base/posix_file.h"
#include "reenact/base/status.h"
#include "reenact/journal/rocksdb/manifest_tail.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/system_clock.h"

namespace reenact {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

thread_local bool keeps_tables = false;

constexpr std::size_t kTailBytesMax = std::size_t{1} << 30;
constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

// The system's, or what a harness has put in its place.
std::shared_ptr<rocksdb::FileSystem> FilesBelow() {
#if defined(REENACT_INSTRUMENTED)
  if (disk::between != nullptr) {
    return disk::between(rocksdb::FileSystem::Default());
  }
#endif
  return rocksdb::FileSystem::Default();
}

IOStatus ToIoStatus(const absl::Status& status) {
  if (status.ok()) return IOStatus::OK();
  const std::string message(status.message());
  // RocksDB says of the one kind that the disk is full; descriptors run out,
  // too.
  const auto says = [&message](int error) {
    return message.find(std::generic_category().message(error)) != message.npos;
  };
  const bool full =
      absl::IsResourceExhausted(status) && !says(EMFILE) && !says(ENFILE);
  return full ? IOStatus::NoSpace(message) : IOStatus::IOError(message);
}

std::string DirectoryOf(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}
std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}
bool IsManifest(const std::string& path) {
  return NameOf(path).starts_with("MANIFEST-");
}

// Makes a call again for as long as signals interrupt it. RocksDB does so for
// reads and writes, and takes a sync that was interrupted for one that failed.
template <typename Call>
IOStatus Uninterrupted(Call call) {
  static const std::string kInterrupted =
      std::generic_category().message(EINTR);
  IOStatus status = call();
  while (status.IsIOError() &&
         status.ToString().find(kInterrupted) != std::string::npos) {
    status = call();
  }
  return status;
}

class PatientFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Uninterrupted([&] { return target()->Sync(options, debug); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Uninterrupted([&] { return target()->Fsync(options, debug); });
  }
  IOStatus RangeSync(std::uint64_t offset, std::uint64_t size,
                     const IOOptions& options, IODebugContext* debug) override {
    return Uninterrupted(
        [&] { return target()->RangeSync(offset, size, options, debug); });
  }
};

class PatientDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  explicit PatientDirectory(std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Uninterrupted(
        [&] { return FSDirectoryWrapper::Fsync(options, debug); });
  }
  IOStatus FsyncWithDirOptions(
      const IOOptions& options, IODebugContext* debug,
      const rocksdb::DirFsyncOptions& directory) override {
    return Uninterrupted([&] {
      return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, directory);
    });
  }
};

// A MANIFEST that is being written. RocksDB syncs it behind each change, and
// goes by no change before: what is not synced is only here.
class ManifestWriter final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ManifestWriter(const std::string& path,
                 std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        tail_path_(DirectoryOf(path) + kManifestTailName),
        tail_{NameOf(path), 0, {}} {}

  IOStatus Append(const Slice& data, const IOOptions&,
                  IODebugContext*) override {
    if (failed_.ok()) tail_.bytes.append(data.data(), data.size());
    return failed_;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return failed_; }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Settle(options, debug);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Settle(options, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    IOStatus settled = Settle(options, debug);
    IOStatus closed = target()->Close(options, debug);
    return settled.ok() ? closed : settled;
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    return tail_.offset + tail_.bytes.size();
  }

 private:
  // What has failed once may be on disk or not; nothing is written behind it.
  IOStatus Settle(const IOOptions& options, IODebugContext* debug) {
    if (failed_.ok() && !tail_.bytes.empty()) failed_ = Write(options, debug);
    return failed_;
  }

  IOStatus Write(const IOOptions& options, IODebugContext* debug) {
    IOStatus status = ToIoStatus(WriteTail());
    if (status.ok()) status = target()->Append(tail_.bytes, options, debug);
    if (status.ok()) status = target()->Sync(options, debug);
    tail_.offset += tail_.bytes.size();
    tail_.bytes.clear();
    return status;
  }

  absl::Status WriteTail() {
    if (!tail_file_.has_value()) {
      REENACT_ASSIGN_OR_RETURN(
          tail_file_, posix::File::Open(tail_path_, O_WRONLY | O_CREAT));
    }
    REENACT_RETURN_IF_ERROR(tail_file_->WriteAt(0, EncodeManifestTail(tail_)));
    return tail_file_->Sync();
  }

  const std::string tail_path_;
  std::optional<posix::File> tail_file_;
  ManifestTail tail_;  // what is not synced
  IOStatus failed_;
};

class HeldLock final : public rocksdb::FileLock {
 public:
  explicit HeldLock(posix::File file) : file_(std::move(file)) {}

 private:
  const posix::File file_;
};

// A file that is in memory.
class MendedFile final : public rocksdb::FSSequentialFile {
 public:
  explicit MendedFile(std::string bytes) : bytes_(std::move(bytes)) {}

  IOStatus Read(std::size_t size, const IOOptions&, Slice* result,
                char* scratch, IODebugContext*) override {
    size = std::min(size, bytes_.size() - at_);
    std::memcpy(scratch, bytes_.data() + at_, size);
    *result = Slice(scratch, size);
    at_ += size;
    return IOStatus::OK();
  }
  IOStatus Skip(std::uint64_t size) override {
    at_ += std::min<std::uint64_t>(size, bytes_.size() - at_);
    return IOStatus::OK();
  }

 private:
  const std::string bytes_;
  std::size_t at_ = 0;
};

// Reads what was written, wherever it has got to.
class WrittenFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit WrittenFile(std::shared_ptr<const std::string> bytes)
      : bytes_(std::move(bytes)) {}

  IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions&,
                Slice* result, char* scratch, IODebugContext*) const override {
    const std::string_view some = std::string_view(*bytes_).substr(
        std::min<std::uint64_t>(offset, bytes_->size()), size);
    std::memcpy(scratch, some.data(), some.size());
    *result = Slice(scratch, some.size());
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<const std::string> bytes_;
};

// A file that is written, and what was written to it.
class RememberingFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  RememberingFile(std::unique_ptr<rocksdb::FSWritableFile> file,
                  std::shared_ptr<std::string> bytes)
      : FSWritableFileOwnerWrapper(std::move(file)), bytes_(std::move(bytes)) {}

  IOStatus Append(const Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    bytes_->append(data.data(), data.size());
    return target()->Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }

 private:
  const std::shared_ptr<std::string> bytes_;
};

#if defined(REENACT_INSTRUMENTED)
// RocksDB waits for a second where it could not write a file, before anything
// else: in case the disk gets better. A harness that lets thousands of writes
// fail has no time for that.
class ImpatientEnv final : public rocksdb::EnvWrapper {
 public:
  explicit ImpatientEnv(std::unique_ptr<rocksdb::Env> env)
      : EnvWrapper(std::move(env)) {
    file_system_ = target()->GetFileSystem();
    system_clock_ = std::make_shared<Clock>(target()->GetSystemClock());
  }
  const char* Name() const override { return "reenact.ImpatientEnv"; }

 private:
  class Clock final : public rocksdb::SystemClockWrapper {
   public:
    using SystemClockWrapper::SystemClockWrapper;
    const char* Name() const override { return "reenact.ImpatientClock"; }
    void SleepForMicroseconds(int micros) override {
      target_->SleepForMicroseconds(micros / 1000);
    }
  };
};
#endif

std::unique_ptr<rocksdb::Env> EnvOf(
    const std::shared_ptr<rocksdb::FileSystem>& files) {
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(files);
#if defined(REENACT_INSTRUMENTED)
  if (disk::between != nullptr) {
    return std::make_unique<ImpatientEnv>(std::move(env));
  }
#endif
  return env;
}

}  // namespace

class RocksDbFiles::System final : public rocksdb::FileSystemWrapper {
 public:
  System() : FileSystemWrapper(FilesBelow()) {}

  const char* Name() const override { return "reenact.RocksDbFiles"; }

  IOStatus NewSequentialFile(const std::string& path,
                             const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* debug) override {
    // What cannot be linked is copied.
    if (NameOf(path) == kNewCellsName && new_cells_ != nullptr) {
      *result = std::make_unique<MendedFile>(*new_cells_);
      return IOStatus::OK();
    }
    if (IsManifest(path)) {
      const IOStatus status = MendManifest(path, result);
      if (!status.ok() || *result != nullptr) return status;
    }
    return FileSystemWrapper::NewSequentialFile(path, options, result, debug);
  }
  IOStatus NewRandomAccessFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
      IODebugContext* debug) override {
    if (NameOf(path) == kNewCellsName && new_cells_ != nullptr) {
      *result = std::make_unique<WrittenFile>(new_cells_);
      return IOStatus::OK();
    }
    return FileSystemWrapper::NewRandomAccessFile(path, options, result, debug);
  }
  IOStatus NewWritableFile(const std::string& path,
                           const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* debug) override {
    IOStatus status = Restrict(
        path, posix::kFileMode,
        FileSystemWrapper::NewWritableFile(path, options, result, debug));
    if (status.ok())
      *result = std::make_unique<PatientFile>(std::move(*result));
    if (status.ok() && IsManifest(path)) {
      *result = std::make_unique<ManifestWriter>(path, std::move(*result));
    }
    if (status.ok() && NameOf(path) == kNewCellsName) {
      new_cells_ = std::make_shared<std::string>();
      *result =
          std::make_unique<RememberingFile>(std::move(*result), new_cells_);
    }
    return status;
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext* debug) override {
    IOStatus status =
        FileSystemWrapper::NewDirectory(path, options, result, debug);
    if (status.ok()) {
      *result = std::make_unique<PatientDirectory>(std::move(*result));
    }
    return status;
  }
  // So it syncs a file that it takes over.
  IOStatus ReopenWritableFile(const std::string& path,
                              const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext* debug) override {
    const IOStatus status =
        FileSystemWrapper::ReopenWritableFile(path, options, result, debug);
    if (status.ok())
      *result = std::make_unique<PatientFile>(std::move(*result));
    return status;
  }
  IOStatus NewRandomRWFile(const std::string& path,
                           const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* result,
                           IODebugContext* debug) override {
    return Restrict(
        path, posix::kFileMode,
        FileSystemWrapper::NewRandomRWFile(path, options, result, debug));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options,
                     IODebugContext* debug) override {
    return Restrict(path, posix::kDirectoryMode,
                    FileSystemWrapper::CreateDir(path, options, debug));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                              IODebugContext* debug) override {
    return Restrict(
        path, posix::kDirectoryMode,
        FileSystemWrapper::CreateDirIfMissing(path, options, debug));
  }
  // The name CURRENT leads to other names of its directory, of which RocksDB
  // syncs none before: without this, opening after a power cut would depend on
  // a file system that keeps names in order.
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const IOOptions& options,
                      IODebugContext* debug) override {
    if (NameOf(to) == "CURRENT") {
      IOStatus status = SyncDirectory(DirectoryOf(to), options, debug);
      if (!status.ok()) return status;
    }
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* debug) override {
    if (keeps_tables && path.ends_with(".sst")) return IOStatus::OK();
    return FileSystemWrapper::DeleteFile(path, options, debug);
  }
  // RocksDB's own lock lets a second one in this process pass by another path.
  IOStatus LockFile(const std::string& path, const IOOptions&,
                    rocksdb::FileLock** lock, IODebugContext*) override {
    absl::StatusOr<posix::File> file =
        posix::File::Open(path, O_RDWR | O_CREAT);
    if (!file.ok()) return ToIoStatus(file.status());
    const absl::StatusOr<bool> locked = file->TryLock();
    if (!locked.ok()) return ToIoStatus(locked.status());
    lock_is_held_ = !*locked;
    if (!*locked) return IOStatus::IOError(path, "it is locked");
    *lock = new HeldLock(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&,
                      IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }

  bool lock_is_held() const { return lock_is_held_; }

  absl::Status CheckNewCells(const std::string& path) const {
    REENACT_ASSIGN_OR_RETURN(posix::File file,
                             posix::File::Open(path, O_RDONLY));
    Bytes piece;
    for (std::size_t at = 0;; at += piece.size()) {
      REENACT_RETURN_IF_ERROR(file.Read(kPieceBytes, &piece));
      if (new_cells_->compare(std::min(at, new_cells_->size()), kPieceBytes,
                              piece) != 0) {
        return absl::DataLossError(
            ToAbsl("'" + posix::Shown(path) +
                   "': what was written to it is not what is there"));
      }
      if (piece.empty()) return absl::OkStatus();
    }
  }
  void ForgetNewCells() { new_cells_.reset(); }

 private:
  static IOStatus Restrict(const std::string& path, mode_t mode,
                           IOStatus status) {
    // A file system without modes is no reason to fail.
    if (status.ok()) static_cast<void>(chmod(path.c_str(), mode));
    return status;
  }

  // `*result` is null afterwards if the MANIFEST is to be read as it is.
  IOStatus MendManifest(const std::string& path,
                        std::unique_ptr<rocksdb::FSSequentialFile>* result) {
    result->reset();
    const auto stored = posix::ReadSmallFile(
        DirectoryOf(path) + kManifestTailName, kTailBytesMax);
    if (!stored.ok()) return ToIoStatus(stored.status());
    if (!stored->has_value()) return IOStatus::OK();
    const std::optional<ManifestTail> tail = DecodeManifestTail(**stored);
    if (!tail.has_value() || tail->manifest != NameOf(path)) {
      return IOStatus::OK();
    }
    std::string bytes;
    IOStatus status = rocksdb::ReadFileToString(target(), path, &bytes);
    const auto there = BytesView(bytes).substr(
        std::min<std::size_t>(tail->offset, bytes.size()));
    if (!status.ok() || !IsTorn(*tail, bytes.size(), there)) return status;
    bytes.resize(tail->offset);
    bytes += tail->bytes;
    *result = std::make_unique<MendedFile>(std::move(bytes));
    return IOStatus::OK();
  }

  IOStatus SyncDirectory(const std::string& path, const IOOptions& options,
                         IODebugContext* debug) {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    IOStatus status = NewDirectory(path, options, &directory, debug);
    return status.ok() ? directory->Fsync(options, debug) : status;
  }

  std::atomic<bool> lock_is_held_{false};
  // Null: none is being handed over. Of the thread that makes them.
  std::shared_ptr<std::string> new_cells_;
};

RocksDbFiles::RocksDbFiles()
    : system_(std::make_shared<System>()), env_(EnvOf(system_)) {}
RocksDbFiles::~RocksDbFiles() = default;

rocksdb::Env* RocksDbFiles::env() const { return env_.get(); }
bool RocksDbFiles::lock_is_held() const { return system_->lock_is_held(); }
absl::Status RocksDbFiles::CheckNewCells(const std::string& path) const {
  return system_->CheckNewCells(path);
}
void RocksDbFiles::ForgetNewCells() { system_->ForgetNewCells(); }

KeepTables::KeepTables() { keeps_tables = true; }
KeepTables::~KeepTables() { keeps_tables = false; }

}  // namespace reenact
