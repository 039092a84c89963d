// The files of a RocksDB database, as a world needs them: readable by their
// owner only, and so written that a power cut at any moment leaves what can be
// opened.
//
// Thread safety: as RocksDB's Env.

#ifndef REENACT_JOURNAL_ROCKSDB_ROCKSDB_FILES_H_
#define REENACT_JOURNAL_ROCKSDB_ROCKSDB_FILES_H_

#include <memory>
#include <string>

#include "reenact/base/status.h"

namespace rocksdb {
class Env;
}

namespace reenact {

// The file of cells that is made and then handed to the database.
inline constexpr char kNewCellsName[] = "cells.new";

class RocksDbFiles {
 public:
  RocksDbFiles();
  ~RocksDbFiles();
  RocksDbFiles(const RocksDbFiles&) = delete;
  RocksDbFiles& operator=(const RocksDbFiles&) = delete;

  // The system's files, with
  //   - mode 0600, and 0700 for directories, whatever the umask, which RocksDB
  //     leaves it to and which is not ours to change;
  //   - the directory synced before CURRENT is given its name;
  //   - the end of the MANIFEST written twice
  //   (journal/rocksdb/manifest_tail.h);
  //   - kNewCellsName read from memory, as it was written, until
  //     ForgetNewCells(). RocksDB reads a file's ends when it takes it over,
  //     and goes by them from then on: version 7.8 takes a first key that it
  //     cannot read for a file without cells, and a last one for a bug of its
  //     own.
  // Valid as long as this object.
  rocksdb::Env* env() const;

  // The last time that the database was to be locked, somebody had the lock.
  bool lock_is_held() const;

  // Whether the file of new cells at `path` is what was written to it.
  // DataLoss: it is not; and the errors of reading it. By the thread that made
  // it.
  absl::Status CheckNewCells(const std::string& path) const;
  void ForgetNewCells();

 private:
  class System;

  const std::shared_ptr<System> system_;
  const std::unique_ptr<rocksdb::Env> env_;
};

// While one lives, what its thread removes of tables stays. RocksDB takes a new
// table away again if it could not make its MANIFEST durable, and opening fails
// if the MANIFEST names it all the same, which nobody can know after a failed
// sync. What nothing names is removed by the next open.
class KeepTables {
 public:
  KeepTables();
  ~KeepTables();
  KeepTables(const KeepTables&) = delete;
  KeepTables& operator=(const KeepTables&) = delete;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_ROCKSDB_FILES_H_
