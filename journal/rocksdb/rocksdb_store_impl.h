// What the durable store consists of: for the store (rocksdb_store.cc) and for
// how files are made of its cells (cell_files.cc), and nobody else.

#ifndef REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_IMPL_H_
#define REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/base/status.h"
#include "reenact/journal/rocksdb/cell_layer.h"
#include "reenact/journal/rocksdb/flush_pace.h"
#include "reenact/journal/rocksdb/rocksdb_files.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/rocksdb/status_mapper.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/ids.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"
#include "rocksdb/rate_limiter.h"
#include "rocksdb/statistics.h"
#include "rocksdb/write_batch.h"

namespace reenact::rocksdb_store {

// What is where:
//   default  "open_work/", block count (8 bytes) -> a record of open work
//            "written" -> bytes given, bytes written (8 bytes each)
//            of older worlds: "cells_through" -> 8 bytes; "open_work" -> record
//   blocks   index (8 bytes) -> stored block
//   cells    reducer id (4 bytes), key -> version (8 bytes), state
//            ffffffff "cells_through" -> 8 bytes
// Integers are big-endian, so that keys are in the order of their numbers.
//
// Only the first two go through RocksDB's log, in one batch for each group. The
// cells that change are kept in memory, in layers, and now and then a thread
// makes one sorted file of them, with cells_through, and hands it to the
// database: so the two are never apart. What a crash takes from memory is in
// the blocks behind cells_through.
inline constexpr char kCellsThroughKey[] = "cells_through";
inline constexpr std::size_t kReducerSize = sizeof(ReducerId);
inline constexpr std::size_t kNumberSize = sizeof(std::uint64_t);

inline constexpr std::uint64_t kMebibyte = 1 << 20;

template <typename T>
void PutBigEndian(T value, char* out) {
  for (std::size_t i = sizeof(T); i > 0; --i) {
    out[i - 1] = static_cast<char>(value & 0xff);
    value = static_cast<T>(value >> 8);
  }
}

template <typename T>
T GetBigEndian(const char* bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

inline std::string CellKey(ReducerId reducer, std::string_view key) {
  std::string result(kReducerSize, '\0');
  PutBigEndian(reducer, result.data());
  result += key;
  return result;
}

// Where the cells say what they are as of; behind all of them.
inline std::string CellsThroughKey() {
  return CellKey(kNoReducer, kCellsThroughKey);
}

// After an error the world is closed, and the next open decides: also where the
// error is one of a compaction, after which RocksDB would go on, or one that
// may pass, after which it would resume. Resuming could leave a hole; and
// version 7.8, asked for an ingestion after it has resumed, takes itself for
// stopped, goes on without a file number and aborts.
class FirstError final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason,
                         rocksdb::Status* error) override {
    MutexLock lock(&mutex_);
    if (error_.ok()) error_ = *error;
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

  rocksdb::Status Get() const {
    MutexLock lock(&mutex_);
    return error_;
  }

 private:
  mutable Mutex mutex_;
  rocksdb::Status error_ ABSL_GUARDED_BY(mutex_);
};

// What RocksDB says of the file that it has taken over last.
class TakenOver final : public rocksdb::EventListener {
 public:
  // By the thread that hands files over.
  void OnExternalFileIngested(
      rocksdb::DB*, const rocksdb::ExternalFileIngestionInfo& info) override {
    const std::string& path = info.internal_file_path;
    name = path.substr(path.rfind('/') + 1);
    entries = info.table_properties.num_entries;
  }

  std::string name;
  std::uint64_t entries = 0;
};

// A file of cells as it was made.
struct CellsFile {
  std::uint64_t entries = 0;
  std::string first_key;
  std::optional<std::string> first_value;  // none: it takes the cell away
  std::string last_value;                  // cells_through, under its key
};

// An open database, shared with the views on it.
struct Database {
  Database(const std::string& name, posix::Directory opened)
      : directory(std::move(opened)),
        path(directory.path()),
        ToStatus(name, path) {}
  ~Database() { static_cast<void>(Close()); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::Status Close() {
    if (db == nullptr) return rocksdb::Status::OK();
    // Each once, even if memory runs out on the way and the destructor goes on.
    while (!families.empty()) {
      rocksdb::ColumnFamilyHandle* const family = families.back();
      families.pop_back();
      db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    const rocksdb::Status status = db->Close();
    db.reset();
    return status;
  }

  rocksdb::ColumnFamilyHandle* meta() const { return families[0]; }
  rocksdb::ColumnFamilyHandle* blocks() const { return families[1]; }
  rocksdb::ColumnFamilyHandle* cells() const { return families[2]; }

  // All that RocksDB does goes through it, also once another database has the
  // name: it would make files there, and remove those that it does not know.
  const posix::Directory directory;
  const std::string path;
  StatusMapper ToStatus;
  std::shared_ptr<rocksdb::Statistics> statistics;
  const std::shared_ptr<FirstError> background = std::make_shared<FirstError>();
  const std::shared_ptr<TakenOver> taken_over = std::make_shared<TakenOver>();
  FlushPace pace;  // the writing thread's
  // Of what is written besides the log. Refilled often, or each refill is a
  // burst of its own.
  const std::shared_ptr<rocksdb::RateLimiter> limiter{
      rocksdb::NewGenericRateLimiter(FlushPace::kAtFirst,
                                     /*refill_period_us=*/2000)};
  RocksDbFiles files;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
};

class RocksDbStore final : public Store {
 public:
  RocksDbStore(std::shared_ptr<Database> database,
               const RocksDbOptions& options)
      : database_(std::move(database)),
        read_only_(options.read_only),
        layer_bytes_max_(options.write_buffer_bytes / 4) {}
  // Without Close(), what a crash would leave.
  ~RocksDbStore() override { StopThread(); }

  // Reads how far the database reaches.
  absl::Status Load() noexcept;
  absl::Status StartThread();

  // As InDatabase().
  absl::Status Commit(const CommitGroup& group, bool sync) noexcept override;
  absl::Status Sync() noexcept override;

  std::uint64_t block_count() const override { return block_count_; }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const noexcept override;
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t index, BytesView stored)>&
          visit) const override {
    REENACT_RETURN_IF_ERROR(CheckOpen());
    return ScanStoredBlocks(from, block_count_, visit);
  }

  std::uint64_t cells_through() const override { return cells_through_; }
  absl::StatusOr<Bytes> ReadOpenWork() const noexcept override;
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const noexcept override;
  std::unique_ptr<CellView> View() const noexcept override;
  absl::Status ClearCells() noexcept override;
  absl::Status CutBlocks(std::uint64_t count) noexcept override;

  std::vector<std::pair<std::string, std::uint64_t>> Stats()
      const noexcept override;
  absl::Status Close() noexcept override;

 private:
  using VisitBlock =
      std::function<absl::Status(std::uint64_t index, BytesView stored)>;

  absl::Status CheckOpen() const;
  absl::Status CheckWritable() const;
  absl::Status ScanStoredBlocks(std::uint64_t from, std::uint64_t count,
                                const VisitBlock& visit) const;
  // Remembers the first error of a write.
  absl::Status Latch(const rocksdb::Status& status);
  absl::Status Write(bool sync);

  absl::Status LoadOpenWorks();
  void AddOpenWork(std::uint64_t block_count, BytesView record);
  void AddWritten();

  // Cells in memory, and the thread that makes files of them.
  void TakeCells(const CommitGroup& group, std::uint64_t through,
                 std::uint64_t block_bytes);
  void Freeze() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsBehind() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::size_t LayerBytes(std::size_t from) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FileCells(bool synced);
  void AskForFile();
  absl::Status WaitForFile();
  bool WaitUntilDue(CellLayers* layers, std::uint64_t* through);
  void Run();
  void StopThread();
  absl::Status WriteFile(const CellLayers& layers, std::uint64_t through);
  absl::StatusOr<CellsFile> MakeFile(const std::string& path,
                                     const CellLayers& layers,
                                     std::uint64_t through);
  absl::Status CheckTakenOver(const CellsFile& file) const;
  absl::Status CheckRange(const CellsFile& file) const;
  absl::Status CheckCell(const rocksdb::Slice& key,
                         const std::optional<std::string>& value) const;
  absl::Status CheckRanges() const;
  // Until every cell is in a file.
  absl::Status Drain();

  std::uint64_t Property(rocksdb::ColumnFamilyHandle* family,
                         const std::string& name) const;
  std::uint64_t WalBytes() const;
  std::uint64_t DiskBytes() const;

  std::shared_ptr<Database> database_;  // null once closed
  const bool read_only_;
  const std::size_t layer_bytes_max_;

  // The writing thread's own.
  absl::Status failed_;
  rocksdb::WriteBatch batch_;
  std::vector<std::uint64_t> open_works_;  // their block counts, ascending

  std::atomic<std::uint64_t> block_count_{0};
  std::atomic<std::uint64_t> cells_through_{0};
  std::atomic<std::uint64_t> filed_through_{0};  // of the cells in files
  // By this object; and before it, by others.
  std::atomic<std::uint64_t> user_bytes_{0};
  std::atomic<std::uint64_t> filed_bytes_{0};
  std::uint64_t user_bytes_before_ = 0;
  std::uint64_t disk_bytes_before_ = 0;

  mutable Mutex mutex_;
  CondVar changed_;
  // Commits go to `active_`. A view, and whoever asks for a file, freeze it. Of
  // the first `being_filed_` of `frozen_` files are made: of the first of these
  // while `busy_`, of the rest once it is `due_`.
  mutable std::shared_ptr<CellLayer> active_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<CellLayer>();
  mutable CellLayers frozen_ ABSL_GUARDED_BY(mutex_);
  std::size_t being_filed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t block_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // not yet filed
  std::size_t open_works_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool due_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t due_through_ ABSL_GUARDED_BY(mutex_) = 0;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status file_status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace reenact::rocksdb_store

#endif  // REENACT_JOURNAL_ROCKSDB_ROCKSDB_STORE_IMPL_H_
