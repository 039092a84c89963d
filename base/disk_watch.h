// Where a harness watches the disk: every call of the system that a world makes
// on its files, its own (base/posix_file.h) and RocksDB's, is shown before
// it is made, may be made to fail, and is shown again once it has succeeded.
//
// The watcher is there only where REENACT_INSTRUMENTED is defined, see
// base/instrument.h; elsewhere a call is made, and that is all.

#ifndef REENACT_BASE_DISK_WATCH_H_
#define REENACT_BASE_DISK_WATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace rocksdb {
class FileSystem;
}

namespace reenact::disk {

struct Call {
  enum class What : std::uint8_t {
    kOpen,     // an existing file, or to read
    kCreate,   // a file that is made if it is not there ...
    kReplace,  // ... and empty afterwards
    kRead,
    kWrite,
    kSync,
    kTruncate,  // to `offset` bytes
    kRename,
    kLink,
    kRemove,
    kMakeDirectory,
    kRemoveDirectory,
    kSyncDirectory,
    kList,
  };
  static constexpr std::uint64_t kAtEnd = ~std::uint64_t{0};

  What what;
  std::string_view path;
  std::string_view to = {};     // of kRename and kLink
  std::uint64_t offset = 0;     // of kWrite; kAtEnd: behind what is there
  std::string_view bytes = {};  // of kWrite
};

#if defined(REENACT_INSTRUMENTED)

// Thread safety: called by any thread, several at a time.
class Watcher {
 public:
  virtual ~Watcher() = default;

  // The call is about to be made. Returns the errno that it fails with instead,
  // or 0. May shorten a write: only that much is written then, and the rest is
  // another call. What it notes in `*mark` After() is given.
  virtual int Before(Call* call, std::uint64_t* mark) = 0;
  // The call has been made, and succeeded.
  virtual void After(const Call& call, std::uint64_t mark) = 0;
  // `size` bytes have been read, from `offset` if that is known, else kAtEnd;
  // they may be changed.
  virtual void Read(std::string_view path, std::uint64_t offset, char* bytes,
                    std::size_t size) = 0;
};

// Set while no world is open; null: nobody watches.
inline Watcher* watcher = nullptr;

// What stands between RocksDB and the system's files; null: nothing. Set while
// no world is open.
using Between = std::shared_ptr<rocksdb::FileSystem> (*)(
    std::shared_ptr<rocksdb::FileSystem> below);
inline Between between = nullptr;

#endif  // REENACT_INSTRUMENTED

}  // namespace reenact::disk

#endif  // REENACT_BASE_DISK_WATCH_H_
