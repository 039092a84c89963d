// Shows what RocksDB does on its files to whoever watches the disk
// (base/disk_watch.h).

#ifndef REENACT_HARNESS_DISK_WATCHED_FILE_SYSTEM_H_
#define REENACT_HARNESS_DISK_WATCHED_FILE_SYSTEM_H_

#include <memory>

#include "reenact/base/disk_watch.h"

namespace reenact::disk {

// `below`, with each call shown to disk::watcher. For disk::between.
std::shared_ptr<rocksdb::FileSystem> WatchFiles(
    std::shared_ptr<rocksdb::FileSystem> below);

// While it lives, `watcher` sees all that this process does on worlds' files;
// null: nobody does, and RocksDB only does without the space that it would ask
// for ahead. Made and gone while no world is open; the last one made counts.
class Watch {
 public:
  explicit Watch(Watcher* watcher);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Watcher* const watcher_before_;
  const Between between_before_;
};

}  // namespace reenact::disk

#endif  // REENACT_HARNESS_DISK_WATCHED_FILE_SYSTEM_H_
