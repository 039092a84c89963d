// The durable store; only the files of this folder know RocksDB.

#ifndef REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_H_
#define REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "reenact/journal/store.h"

namespace reenact {

struct RocksDbOptions {
  // Opens without writing or locking anything, beside a process that has the
  // world open; sees what is there at this moment.
  bool read_only = false;
  bool create = false;
  // RocksDB's own cache of cell blocks.
  std::uint64_t block_cache_bytes = 32 << 20;
  std::uint64_t write_buffer_bytes = 64 << 20;
};

// Opens the RocksDB database in directory `path`.
//
// Never trusts RocksDB's own view of how complete it is: it recovers to a point
// in time and the caller compares that with the head record. After an error, of
// a write that was asked for or of one that RocksDB makes beside them, nothing
// is written any more, and nothing resumes by itself.
//
// NotFound: no database there. DataLoss: RocksDB finds damage; the message
// names the file. PermissionDenied, ResourceExhausted (disk full), Unavailable
// (I/O error): what the system said.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(
    const std::string& path, const RocksDbOptions& options);

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_H_
