#include "reenact/harness/disk/watched_file_system.h"

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "reenact/base/posix_file.h"
#include "rocksdb/file_system.h"

namespace reenact::disk {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using What = Call::What;

// As RocksDB's own file system puts an errno.
IOStatus ToIoStatus(int error, std::string_view path) {
  const std::string what = "harness: " + std::string(path);
  const std::string why = std::generic_category().message(error);
  if (error == ENOENT) return IOStatus::PathNotFound(what, why);
  IOStatus status = error == ENOSPC ? IOStatus::NoSpace(what, why)
                                    : IOStatus::IOError(what, why);
  status.SetRetryable(error == ENOSPC);
  return status;
}

// Makes a call unless the watcher has it fail.
template <typename Make>
IOStatus Watched(Call call, Make make) {
  if (watcher == nullptr) return make();
  const std::string path = posix::Shown(std::string(call.path));
  const std::string to = posix::Shown(std::string(call.to));
  call.path = path;
  call.to = to;
  std::uint64_t mark = 0;
  if (const int error = watcher->Before(&call, &mark); error != 0) {
    return ToIoStatus(error, call.path);
  }
  IOStatus status = make();
  if (status.ok()) watcher->After(call, mark);
  return status;
}

// A write, in as many pieces as the watcher likes.
template <typename Make>
IOStatus WatchedWrite(const std::string& path, std::uint64_t offset,
                      std::string_view bytes, Make make) {
  if (watcher == nullptr) return make(bytes, offset);
  do {
    Call call{What::kWrite, path, {}, offset, bytes};
    std::uint64_t mark = 0;
    if (const int error = watcher->Before(&call, &mark); error != 0) {
      return ToIoStatus(error, path);
    }
    IOStatus status = make(call.bytes, offset);
    if (!status.ok()) return status;
    watcher->After(call, mark);
    bytes.remove_prefix(call.bytes.size());
    if (offset != Call::kAtEnd) offset += call.bytes.size();
  } while (!bytes.empty());
  return IOStatus::OK();
}

void ShowRead(const std::string& path, std::uint64_t offset,
              const Slice& result) {
  if (watcher == nullptr || result.empty()) return;
  watcher->Read(path, offset, const_cast<char*>(result.data()), result.size());
}

class WritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    return WatchedWrite(path_, Call::kAtEnd, {data.data(), data.size()},
                        [&](std::string_view bytes, std::uint64_t) {
                          return target()->Append(
                              Slice(bytes.data(), bytes.size()), options,
                              debug);
                        });
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus PositionedAppend(const Slice& data, std::uint64_t offset,
                            const IOOptions& options,
                            IODebugContext* debug) override {
    return WatchedWrite(path_, offset, {data.data(), data.size()},
                        [&](std::string_view bytes, std::uint64_t at) {
                          return target()->PositionedAppend(
                              Slice(bytes.data(), bytes.size()), at, options,
                              debug);
                        });
  }
  IOStatus PositionedAppend(const Slice& data, std::uint64_t offset,
                            const IOOptions& options,
                            const rocksdb::DataVerificationInfo&,
                            IODebugContext* debug) override {
    return PositionedAppend(data, offset, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    return Watched({What::kTruncate, path_, {}, size},
                   [&] { return target()->Truncate(size, options, debug); });
  }
  // Space that nothing is written to changes nothing, and to get it takes most
  // of the time of a small world in memory.
  void PrepareWrite(std::size_t, std::size_t, const IOOptions&,
                    IODebugContext*) override {}
  IOStatus Allocate(std::uint64_t, std::uint64_t, const IOOptions&,
                    IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Watched({What::kSync, path_},
                   [&] { return target()->Sync(options, debug); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Watched({What::kSync, path_},
                   [&] { return target()->Fsync(options, debug); });
  }

 private:
  const std::string path_;
};

class SequentialFile final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  SequentialFile(std::string path,
                 std::unique_ptr<rocksdb::FSSequentialFile> file)
      : FSSequentialFileOwnerWrapper(std::move(file)), path_(std::move(path)) {}

  IOStatus Read(std::size_t size, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* debug) override {
    IOStatus status = Watched({What::kRead, path_}, [&] {
      return target()->Read(size, options, result, scratch, debug);
    });
    if (status.ok()) ShowRead(path_, Call::kAtEnd, *result);
    return status;
  }

 private:
  const std::string path_;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  RandomAccessFile(std::string path,
                   std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)),
        path_(std::move(path)) {}

  IOStatus Read(std::uint64_t offset, std::size_t size,
                const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) const override {
    IOStatus status = Watched({What::kRead, path_}, [&] {
      return target()->Read(offset, size, options, result, scratch, debug);
    });
    if (status.ok()) ShowRead(path_, offset, *result);
    return status;
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count,
                     const IOOptions& options, IODebugContext* debug) override {
    for (std::size_t i = 0; i < count; ++i) {
      rocksdb::FSReadRequest& request = requests[i];
      request.status = Read(request.offset, request.len, options,
                            &request.result, request.scratch, debug);
    }
    return IOStatus::OK();
  }

 private:
  const std::string path_;
};

class Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(std::string path, std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Watched({What::kSyncDirectory, path_},
                   [&] { return FSDirectoryWrapper::Fsync(options, debug); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& how) override {
    return Watched({What::kSyncDirectory, path_}, [&] {
      return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how);
    });
  }

 private:
  const std::string path_;
};

class WatchedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit WatchedFileSystem(std::shared_ptr<rocksdb::FileSystem> below)
      : FileSystemWrapper(std::move(below)) {}

  const char* Name() const override { return "reenact.WatchedFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path,
                             const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* debug) override {
    IOStatus status = Watched({What::kOpen, path}, [&] {
      return target()->NewSequentialFile(path, options, result, debug);
    });
    return Wrap<SequentialFile>(path, std::move(status), result);
  }
  IOStatus NewRandomAccessFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
      IODebugContext* debug) override {
    IOStatus status = Watched({What::kOpen, path}, [&] {
      return target()->NewRandomAccessFile(path, options, result, debug);
    });
    return Wrap<RandomAccessFile>(path, std::move(status), result);
  }
  IOStatus NewWritableFile(const std::string& path,
                           const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* debug) override {
    IOStatus status = Watched({What::kReplace, path}, [&] {
      return target()->NewWritableFile(path, options, result, debug);
    });
    return Wrap<WritableFile>(path, std::move(status), result);
  }
  IOStatus ReopenWritableFile(const std::string& path,
                              const rocksdb::FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext* debug) override {
    IOStatus status = Watched({What::kCreate, path}, [&] {
      return target()->ReopenWritableFile(path, options, result, debug);
    });
    return Wrap<WritableFile>(path, std::move(status), result);
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old,
                             const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext* debug) override {
    IOStatus status = Watched({What::kRename, old, path}, [&] {
      return target()->ReuseWritableFile(path, old, options, result, debug);
    });
    return Wrap<WritableFile>(path, std::move(status), result);
  }
  // Nothing that a world's store does; refused, so that nobody writes unseen.
  IOStatus NewRandomRWFile(const std::string& path, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>*,
                           IODebugContext*) override {
    return IOStatus::NotSupported("harness: written in place: " + path);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext* debug) override {
    IOStatus status = Watched({What::kOpen, path}, [&] {
      return target()->NewDirectory(path, options, result, debug);
    });
    return Wrap<Directory>(path, std::move(status), result);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions& options,
                       std::vector<std::string>* names,
                       IODebugContext* debug) override {
    return Watched({What::kList, path}, [&] {
      return target()->GetChildren(path, options, names, debug);
    });
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* debug) override {
    return Watched({What::kRemove, path},
                   [&] { return target()->DeleteFile(path, options, debug); });
  }
  IOStatus Truncate(const std::string& path, std::size_t size,
                    const IOOptions& options, IODebugContext* debug) override {
    return Watched({What::kTruncate, path, {}, size}, [&] {
      return target()->Truncate(path, size, options, debug);
    });
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options,
                     IODebugContext* debug) override {
    return Watched({What::kMakeDirectory, path},
                   [&] { return target()->CreateDir(path, options, debug); });
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                              IODebugContext* debug) override {
    return Watched({What::kMakeDirectory, path}, [&] {
      return target()->CreateDirIfMissing(path, options, debug);
    });
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions& options,
                     IODebugContext* debug) override {
    return Watched({What::kRemoveDirectory, path},
                   [&] { return target()->DeleteDir(path, options, debug); });
  }
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const IOOptions& options,
                      IODebugContext* debug) override {
    return Watched({What::kRename, from, to}, [&] {
      return target()->RenameFile(from, to, options, debug);
    });
  }
  IOStatus LinkFile(const std::string& from, const std::string& to,
                    const IOOptions& options, IODebugContext* debug) override {
    return Watched({What::kLink, from, to}, [&] {
      return target()->LinkFile(from, to, options, debug);
    });
  }

 private:
  template <typename Watching, typename File>
  static IOStatus Wrap(const std::string& path, IOStatus status,
                       std::unique_ptr<File>* file) {
    if (status.ok()) {
      *file = std::make_unique<Watching>(posix::Shown(path), std::move(*file));
    } else {
      file->reset();
    }
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> WatchFiles(
    std::shared_ptr<rocksdb::FileSystem> below) {
  return std::make_shared<WatchedFileSystem>(std::move(below));
}

Watch::Watch(Watcher* one)
    : watcher_before_(std::exchange(watcher, one)),
      between_before_(std::exchange(between, WatchFiles)) {}

Watch::~Watch() {
  watcher = watcher_before_;
  between = between_before_;
}

}  // namespace reenact::disk
