#include "reenact/journal/rocksdb_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

#include "reenact/kernel/check.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

#if defined(__SANITIZE_THREAD__)
#define REENACT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REENACT_TSAN 1
#endif
#endif
#ifdef REENACT_TSAN
// The RocksDB package is built without ThreadSanitizer, which sees its memcpy()
// but not the atomics that order them: every read of a fresh cell beside the
// writer would be reported, also where our scans read RocksDB's memory
// themselves. A program may have suppressions of its own.
extern "C" __attribute__((weak)) const char* __tsan_default_suppressions() {
  return "race:librocksdb.so\nrace:ScanRange\nrace:ScanStoredBlocks\n";
}
#endif

namespace reenact {
namespace {

// What is where:
//   default  "cells_through" -> 8 bytes
//   blocks   index (8 bytes) -> stored block
//   cells    reducer id (4 bytes), key -> version (8 bytes), state
// Integers are big-endian, so that keys are in the order of their numbers.
constexpr char kBlocksName[] = "blocks";
constexpr char kCellsName[] = "cells";
constexpr char kCellsThroughKey[] = "cells_through";
constexpr char kOpenWorkKey[] = "open_work";
constexpr std::size_t kReducerSize = sizeof(ReducerId);
constexpr std::size_t kNumberSize = sizeof(std::uint64_t);

// A batch that grew beyond this is not kept for the next group.
constexpr std::size_t kKeptBatchBytes = 16 << 20;
constexpr std::uint64_t kMebibyte = 1 << 20;

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

// An integer's key, without a heap allocation.
template <typename T>
class NumberKey {
 public:
  explicit NumberKey(T value) { PutBigEndian(value, bytes_); }
  operator rocksdb::Slice() const {  // NOLINT: a key is a slice
    return rocksdb::Slice(bytes_, sizeof(bytes_));
  }

 private:
  char bytes_[sizeof(T)];
};
using IndexKey = NumberKey<std::uint64_t>;

std::string CellKey(ReducerId reducer, std::string_view key) {
  std::string result(kReducerSize, '\0');
  PutBigEndian(reducer, result.data());
  result += key;
  return result;
}

rocksdb::Slice ToSlice(std::string_view text) {
  return rocksdb::Slice(text.data(), text.size());
}

std::string_view ToView(const rocksdb::Slice& slice) {
  return std::string_view(slice.data(), slice.size());
}

// What a stored cell's value says.
struct CellValue {
  EventId version;
  BytesView state;
};

absl::StatusOr<CellValue> ParseCellValue(std::string_view value) {
  if (value.size() < kNumberSize) {
    return absl::DataLossError("db: a cell's value is too short");
  }
  return CellValue{EventId{GetBigEndian<std::uint64_t>(value.data())},
                   value.substr(kNumberSize)};
}

class NullLogger final : public rocksdb::Logger {
 public:
  NullLogger() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// The system's file system, with files and directories that only their owner
// may read: RocksDB itself leaves the mode to the umask, which is not ours to
// change.
class PrivateFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  PrivateFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "reenact.PrivateFileSystem"; }

  rocksdb::IOStatus NewWritableFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSWritableFile>* result,
      rocksdb::IODebugContext* debug) override {
    return Restrict(
        path, 0600,
        FileSystemWrapper::NewWritableFile(path, options, result, debug));
  }
  rocksdb::IOStatus NewRandomRWFile(
      const std::string& path, const rocksdb::FileOptions& options,
      std::unique_ptr<rocksdb::FSRandomRWFile>* result,
      rocksdb::IODebugContext* debug) override {
    return Restrict(
        path, 0600,
        FileSystemWrapper::NewRandomRWFile(path, options, result, debug));
  }
  rocksdb::IOStatus CreateDir(const std::string& path,
                              const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override {
    return Restrict(path, 0700,
                    FileSystemWrapper::CreateDir(path, options, debug));
  }
  rocksdb::IOStatus CreateDirIfMissing(
      const std::string& path, const rocksdb::IOOptions& options,
      rocksdb::IODebugContext* debug) override {
    return Restrict(
        path, 0700,
        FileSystemWrapper::CreateDirIfMissing(path, options, debug));
  }
  rocksdb::IOStatus LockFile(const std::string& path,
                             const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock,
                             rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Restrict(
        path, 0600, FileSystemWrapper::LockFile(path, options, lock, debug));
    lock_is_held_ = IsHeld(status);
    return status;
  }

  // The last LockFile() failed because somebody has the lock.
  bool lock_is_held() const { return lock_is_held_; }

 private:
  static rocksdb::IOStatus Restrict(const std::string& path, mode_t mode,
                                    rocksdb::IOStatus status) {
    // A file system without modes is no reason to fail.
    if (status.ok()) static_cast<void>(chmod(path.c_str(), mode));
    return status;
  }

  // RocksDB has no code for it: fcntl() failed, or its own table has the path.
  static bool IsHeld(const rocksdb::IOStatus& status) {
    if (status.ok()) return false;
    const std::string text = status.ToString();
    return text.find("While lock file") != std::string::npos ||
           text.find("lock hold by current process") != std::string::npos;
  }

  std::atomic<bool> lock_is_held_{false};
};

bool Mentions(const std::string& text, std::initializer_list<int> errors) {
  return std::any_of(errors.begin(), errors.end(), [&text](int error) {
    return text.find(std::generic_category().message(error)) !=
           std::string::npos;
  });
}

// RocksDB passes on what most system errors are called, not their number.
absl::StatusCode IoErrorCode(const rocksdb::Status& status) {
  if (status.IsNoSpace()) {
    return absl::StatusCode::kResourceExhausted;
  }
  // That there is a database was established before.
  if (status.IsPathNotFound()) return absl::StatusCode::kDataLoss;
  const std::string text = status.ToString();
  if (Mentions(text, {EACCES, EPERM, EROFS})) {
    return absl::StatusCode::kPermissionDenied;
  }
  if (Mentions(text, {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE})) {
    return absl::StatusCode::kResourceExhausted;
  }
  return absl::StatusCode::kUnavailable;
}

absl::StatusCode CodeOf(const rocksdb::Status& status) {
  switch (status.code()) {
    case rocksdb::Status::kOk:
      return absl::StatusCode::kOk;
    case rocksdb::Status::kNotFound:
      return absl::StatusCode::kNotFound;
    case rocksdb::Status::kCorruption:
      return absl::StatusCode::kDataLoss;
    case rocksdb::Status::kIOError:
      return IoErrorCode(status);
    case rocksdb::Status::kNotSupported:
      return absl::StatusCode::kFailedPrecondition;
    case rocksdb::Status::kBusy:
    case rocksdb::Status::kTimedOut:
    case rocksdb::Status::kTryAgain:
    case rocksdb::Status::kIncomplete:
    case rocksdb::Status::kAborted:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Statuses of a database in `path`, told with paths that start at the directory
// above it.
class StatusMapper {
 public:
  explicit StatusMapper(const std::string& path)
      : prefix_(path.substr(0, path.rfind('/') + 1)) {}

  absl::Status operator()(const rocksdb::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    return absl::Status(CodeOf(status), Message(status));
  }

  std::string Message(const rocksdb::Status& status) const {
    std::string text = status.ToString();
    for (std::size_t at = 0; !prefix_.empty() && at != std::string::npos;) {
      at = text.find(prefix_, at);
      if (at != std::string::npos) text.erase(at, prefix_.size());
    }
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return text;
  }

 private:
  std::string prefix_;
};

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options) {
  rocksdb::DBOptions result;
  result.create_if_missing = options.create;
  // A crash while a database is made may leave it with fewer; nothing was
  // written to it then.
  result.create_missing_column_families = true;
  result.info_log = std::make_shared<NullLogger>();
  result.paranoid_checks = true;
  result.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // After an error the world is closed, and the next open decides. Resuming
  // could leave a hole.
  result.max_bgerror_resume_count = 0;
  result.avoid_flush_during_shutdown = true;
  // One flush and one compaction. One writer, so nothing to insert in parallel.
  result.max_background_jobs = 2;
  result.allow_concurrent_memtable_write = false;
  result.stats_dump_period_sec = 0;
  result.stats_persist_period_sec = 0;
  // A read-only database keeps all files open: the process that writes may
  // remove them at any time.
  result.max_open_files = options.read_only ? -1 : 256;
  result.db_write_buffer_size = options.write_buffer_bytes;
  result.max_total_wal_size = 2 * options.write_buffer_bytes;
  result.bytes_per_sync = kMebibyte;
  result.statistics = rocksdb::CreateDBStatistics();
  result.statistics->set_stats_level(
      rocksdb::StatsLevel::kExceptHistogramOrTimers);
  return result;
}

rocksdb::ColumnFamilyOptions MakeFamilyOptions(std::uint64_t write_buffer) {
  rocksdb::ColumnFamilyOptions result;
  result.compression = rocksdb::kNoCompression;
  result.write_buffer_size = write_buffer;
  // One is filled while others wait for the flush.
  result.max_write_buffer_number = 4;
  result.level_compaction_dynamic_level_bytes = true;
  return result;
}

// Only ever appended to: files never overlap, so compaction moves them down
// without rewriting them. Read in sequence, by tools and replay, so they have
// no place in the cache that cells live from.
rocksdb::ColumnFamilyOptions MakeBlocksOptions(const RocksDbOptions& options) {
  rocksdb::ColumnFamilyOptions result =
      MakeFamilyOptions(options.write_buffer_bytes / 4);
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.block_size = 32 << 10;
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return result;
}

// Random reads, many of them for cells that do not exist. Filters and indices
// are cut into parts and live in the cache, so that memory is bounded whatever
// the number of cells.
//
// Small write buffers: inserting into a memtable that the processor's cache
// holds takes half as long as into one of 32 MiB, and is what a commit costs.
rocksdb::ColumnFamilyOptions MakeCellsOptions(const RocksDbOptions& options) {
  rocksdb::ColumnFamilyOptions result =
      MakeFamilyOptions(options.write_buffer_bytes / 8);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // A commit's cells come in the order of their keys, so the place of the last
  // one of a reducer is a good hint for the next; and most reads of the memtable
  // are of cells that are not in it. In memory only: files stay as they are.
  result.memtable_insert_with_hint_prefix_extractor.reset(
      rocksdb::NewFixedPrefixTransform(kReducerSize));
  result.memtable_whole_key_filtering = true;
  result.memtable_prefix_bloom_size_ratio = 0.05;
  return result;
}

// An open database, shared with the views on it.
struct Database {
  explicit Database(const std::string& path) : ToStatus(path) {}
  ~Database() { static_cast<void>(Close()); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::Status Close() {
    if (db == nullptr) return rocksdb::Status::OK();
    for (rocksdb::ColumnFamilyHandle* family : families) {
      db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    }
    const rocksdb::Status status = db->Close();
    db.reset();
    return status;
  }

  rocksdb::ColumnFamilyHandle* meta() const { return families[0]; }
  rocksdb::ColumnFamilyHandle* blocks() const { return families[1]; }
  rocksdb::ColumnFamilyHandle* cells() const { return families[2]; }

  StatusMapper ToStatus;
  std::shared_ptr<rocksdb::Statistics> statistics;
  std::shared_ptr<PrivateFileSystem> file_system;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
};

rocksdb::ReadOptions ScanOptions() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = kMebibyte;
  return options;
}

// A RocksDB snapshot.
class RocksDbCellView final : public CellView {
 public:
  explicit RocksDbCellView(std::shared_ptr<Database> database)
      : database_(std::move(database)),
        snapshot_(database_->db->GetSnapshot()) {}
  ~RocksDbCellView() override { database_->db->ReleaseSnapshot(snapshot_); }
  RocksDbCellView(const RocksDbCellView&) = delete;
  RocksDbCellView& operator=(const RocksDbCellView&) = delete;

  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, const Visit& visit) const override {
    if (!to.empty() && to <= from) return absl::OkStatus();
    std::string end;  // empty: none
    if (!to.empty()) {
      end = CellKey(reducer, to);
    } else if (reducer != 0xffffffffU) {
      end = CellKey(reducer + 1, "");
    }
    return ScanRange(CellKey(reducer, from), end, visit);
  }

  absl::Status ScanAll(const Visit& visit) const override {
    return ScanRange("", "", visit);
  }

 private:
  absl::Status ScanRange(const std::string& begin, const std::string& end,
                         const Visit& visit) const {
    const rocksdb::Slice upper(end);
    rocksdb::ReadOptions options = ScanOptions();
    options.snapshot = snapshot_;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(
        database_->db->NewIterator(options, database_->cells()));
    for (it->Seek(begin); it->Valid(); it->Next()) {
      const absl::Status status =
          Show(ToView(it->key()), ToView(it->value()), visit);
      if (absl::IsCancelled(status)) return absl::OkStatus();
      REENACT_RETURN_IF_ERROR(status);
    }
    return database_->ToStatus(it->status());
  }

  static absl::Status Show(std::string_view key, std::string_view value,
                           const Visit& visit) {
    if (key.size() < kReducerSize) {
      return absl::DataLossError("db: a cell's key is too short");
    }
    REENACT_ASSIGN_OR_RETURN(const CellValue cell, ParseCellValue(value));
    return visit(GetBigEndian<ReducerId>(key.data()), key.substr(kReducerSize),
                 cell.version, cell.state);
  }

  const std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* const snapshot_;
};

class RocksDbStore final : public Store {
 public:
  RocksDbStore(std::shared_ptr<Database> database, bool read_only)
      : database_(std::move(database)), read_only_(read_only) {}

  // Reads how far the database reaches.
  absl::Status Load();

  absl::Status Commit(const CommitGroup& group, bool sync) override;
  absl::Status Sync() override;

  std::uint64_t block_count() const override { return block_count_; }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override;
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t index, BytesView stored)>&
          visit) const override {
    REENACT_RETURN_IF_ERROR(CheckOpen());
    return ScanStoredBlocks(from, block_count_, visit);
  }

  std::uint64_t cells_through() const override { return cells_through_; }
  absl::StatusOr<Bytes> ReadOpenWork() const override;
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override;
  std::unique_ptr<CellView> View() const override;
  absl::Status ClearCells() override;
  absl::Status CutBlocks(std::uint64_t count) override;

  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override;
  absl::Status Close() override;

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

  void AddCells(const std::vector<const CellBatch*>& batches);
  void AddCell(const CellBatch::Row& row);
  void AddCellsThrough(std::uint64_t count);

  std::uint64_t Property(rocksdb::ColumnFamilyHandle* family,
                         const std::string& name) const;
  std::uint64_t WalBytes() const;

  std::shared_ptr<Database> database_;  // null once closed
  const bool read_only_;

  // The writing thread's own.
  absl::Status failed_;
  rocksdb::WriteBatch batch_;
  std::vector<CellBatch::Row> rows_;

  std::atomic<std::uint64_t> block_count_{0};
  std::atomic<std::uint64_t> cells_through_{0};
  std::atomic<std::uint64_t> user_bytes_{0};
};

absl::Status MissingBlock(std::uint64_t index) {
  return absl::DataLossError("db: block " + std::to_string(index) +
                             " is missing");
}

absl::Status RocksDbStore::CheckOpen() const {
  if (database_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError("db: the store is closed");
}

absl::Status RocksDbStore::CheckWritable() const {
  if (read_only_) {
    return absl::FailedPreconditionError("db: the store is open read-only");
  }
  REENACT_RETURN_IF_ERROR(failed_);
  return CheckOpen();
}

absl::Status RocksDbStore::Latch(const rocksdb::Status& status) {
  if (!status.ok()) failed_ = database_->ToStatus(status);
  return failed_;
}

absl::Status RocksDbStore::Write(bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  const std::size_t size = batch_.GetDataSize();
  const absl::Status status = Latch(database_->db->Write(options, &batch_));
  user_bytes_ += size;
  batch_.Clear();
  if (size > kKeptBatchBytes) batch_ = rocksdb::WriteBatch();
  return status;
}

absl::Status RocksDbStore::Load() {
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db->NewIterator(ScanOptions(), database_->blocks()));
  it->SeekToLast();
  if (it->Valid()) {
    if (it->key().size() != kNumberSize) {
      return absl::DataLossError("db: a block's key is not an index");
    }
    block_count_ = GetBigEndian<std::uint64_t>(it->key().data()) + 1;
  }
  REENACT_RETURN_IF_ERROR(database_->ToStatus(it->status()));

  std::string value;
  const rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->meta(), kCellsThroughKey, &value);
  if (status.IsNotFound()) return absl::OkStatus();
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  if (value.size() != kNumberSize) {
    return absl::DataLossError("db: cells_through is not a number");
  }
  cells_through_ = GetBigEndian<std::uint64_t>(value.data());
  return absl::OkStatus();
}

absl::Status RocksDbStore::Commit(const CommitGroup& group, bool sync) {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  REENACT_CHECK(group.blocks.empty() ? group.first_index <= block_count_
                                     : group.first_index == block_count_);
  std::uint64_t index = group.first_index;
  for (const Bytes& block : group.blocks) {
    batch_.Put(database_->blocks(), IndexKey(index++), block);
  }
  AddCells(group.cells);
  AddCellsThrough(index);
  if (!group.open_work.empty()) {
    batch_.Put(database_->meta(), kOpenWorkKey, group.open_work);
  }
  REENACT_RETURN_IF_ERROR(Write(sync));
  if (!group.blocks.empty()) block_count_ = index;
  cells_through_ = index;
  return absl::OkStatus();
}

// A cell that several rounds changed is written once, and all of them in the
// order of their keys: neighbours in the memtable are found faster.
void RocksDbStore::AddCells(const std::vector<const CellBatch*>& batches) {
  rows_.clear();
  for (const CellBatch* batch : batches) {
    for (std::size_t i = 0; i < batch->size(); ++i) {
      rows_.push_back((*batch)[i]);
    }
  }
  std::stable_sort(rows_.begin(), rows_.end(),
                   [](const CellBatch::Row& a, const CellBatch::Row& b) {
                     return std::tie(a.reducer, a.key) <
                            std::tie(b.reducer, b.key);
                   });
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const bool superseded = i + 1 < rows_.size() &&
                            rows_[i].reducer == rows_[i + 1].reducer &&
                            rows_[i].key == rows_[i + 1].key;
    if (!superseded) AddCell(rows_[i]);
  }
}

void RocksDbStore::AddCell(const CellBatch::Row& row) {
  const NumberKey<ReducerId> reducer(row.reducer);
  const rocksdb::Slice key[] = {reducer, ToSlice(row.key)};
  if (!row.state.has_value()) {
    batch_.Delete(database_->cells(), rocksdb::SliceParts(key, 2));
    return;
  }
  const NumberKey<std::uint64_t> version(row.version.value);
  const rocksdb::Slice value[] = {version, ToSlice(*row.state)};
  batch_.Put(database_->cells(), rocksdb::SliceParts(key, 2),
             rocksdb::SliceParts(value, 2));
}

void RocksDbStore::AddCellsThrough(std::uint64_t count) {
  batch_.Put(database_->meta(), kCellsThroughKey, IndexKey(count));
}

absl::StatusOr<Bytes> RocksDbStore::ReadOpenWork() const {
  REENACT_RETURN_IF_ERROR(CheckOpen());
  std::string value;
  const rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->meta(), kOpenWorkKey, &value);
  if (status.IsNotFound()) return Bytes();
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  return value;
}

absl::Status RocksDbStore::Sync() {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  return Latch(database_->db->SyncWAL());
}

absl::StatusOr<Bytes> RocksDbStore::ReadBlock(std::uint64_t index) const {
  REENACT_RETURN_IF_ERROR(CheckOpen());
  if (index >= block_count_) {
    return absl::OutOfRangeError("block " + std::to_string(index) +
                                 ": there are only " +
                                 std::to_string(block_count_));
  }
  Bytes stored;
  const rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->blocks(), IndexKey(index), &stored);
  if (status.IsNotFound()) return MissingBlock(index);
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  return stored;
}

absl::Status RocksDbStore::ScanStoredBlocks(std::uint64_t from,
                                            std::uint64_t count,
                                            const VisitBlock& visit) const {
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db->NewIterator(ScanOptions(), database_->blocks()));
  it->Seek(IndexKey(from));
  for (std::uint64_t index = from; index < count; ++index) {
    REENACT_RETURN_IF_ERROR(database_->ToStatus(it->status()));
    if (!it->Valid() || it->key() != IndexKey(index)) {
      return MissingBlock(index);
    }
    REENACT_RETURN_IF_ERROR(visit(index, ToView(it->value())));
    it->Next();
  }
  return database_->ToStatus(it->status());
}

absl::StatusOr<std::optional<StoredCell>> RocksDbStore::ReadCell(
    ReducerId reducer, std::string_view key) const {
  REENACT_RETURN_IF_ERROR(CheckOpen());
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      database_->db->Get(rocksdb::ReadOptions(), database_->cells(),
                         CellKey(reducer, key), &value);
  if (status.IsNotFound()) return std::optional<StoredCell>();
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  REENACT_ASSIGN_OR_RETURN(const CellValue cell, ParseCellValue(ToView(value)));
  return std::optional<StoredCell>(StoredCell{cell.version, Bytes(cell.state)});
}

std::unique_ptr<CellView> RocksDbStore::View() const {
  REENACT_CHECK(database_ != nullptr);
  return std::make_unique<RocksDbCellView>(database_);
}

absl::Status RocksDbStore::ClearCells() {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  // No cell has reducer 0xffffffff: it is kNoReducer.
  batch_.DeleteRange(database_->cells(), rocksdb::Slice(""),
                     CellKey(kNoReducer, ""));
  AddCellsThrough(0);
  REENACT_RETURN_IF_ERROR(Write(true));
  cells_through_ = 0;
  return absl::OkStatus();
}

absl::Status RocksDbStore::CutBlocks(std::uint64_t count) {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  if (count >= block_count_) return absl::OkStatus();
  // One by one: a range tombstone would burden every later read, and the tail
  // is short.
  for (std::uint64_t index = count; index < block_count_; ++index) {
    batch_.Delete(database_->blocks(), IndexKey(index));
  }
  REENACT_RETURN_IF_ERROR(Write(true));
  block_count_ = count;
  return absl::OkStatus();
}

std::uint64_t RocksDbStore::Property(rocksdb::ColumnFamilyHandle* family,
                                     const std::string& name) const {
  std::uint64_t value = 0;
  database_->db->GetIntProperty(family, name, &value);
  return value;
}

std::uint64_t RocksDbStore::WalBytes() const {
  rocksdb::VectorLogPtr files;
  if (!database_->db->GetSortedWalFiles(files).ok()) return 0;
  std::uint64_t bytes = 0;
  for (const auto& file : files) bytes += file->SizeFileBytes();
  return bytes;
}

std::vector<std::pair<std::string, std::uint64_t>> RocksDbStore::Stats() const {
  if (database_ == nullptr) return {};
  using Properties = rocksdb::DB::Properties;
  const auto size = [this](rocksdb::ColumnFamilyHandle* family) {
    return Property(family, Properties::kTotalSstFilesSize);
  };
  const auto ticker = [this](rocksdb::Tickers name) {
    return database_->statistics->getTickerCount(name);
  };
  const std::uint64_t wal = WalBytes();
  const std::uint64_t blocks = size(database_->blocks());
  const std::uint64_t cells = size(database_->cells());
  std::uint64_t memory =
      Property(database_->cells(), Properties::kBlockCacheUsage);
  for (rocksdb::ColumnFamilyHandle* family : database_->families) {
    memory += Property(family, Properties::kSizeAllMemTables) +
              Property(family, Properties::kEstimateTableReadersMem);
  }
  const std::uint64_t user = user_bytes_;
  const std::uint64_t disk = ticker(rocksdb::WAL_FILE_BYTES) +
                             ticker(rocksdb::FLUSH_WRITE_BYTES) +
                             ticker(rocksdb::COMPACT_WRITE_BYTES);
  return {{"blocks.count", block_count_},
          {"blocks.bytes", blocks + Property(database_->blocks(),
                                             Properties::kCurSizeAllMemTables)},
          {"cells.bytes", cells + Property(database_->cells(),
                                           Properties::kCurSizeAllMemTables)},
          {"cells.count.estimate",
           Property(database_->cells(), Properties::kEstimateNumKeys)},
          {"db.bytes", size(database_->meta()) + blocks + cells + wal},
          {"wal.bytes", wal},
          {"written.user.bytes", user},
          {"written.disk.bytes", disk},
          {"write.amplification.percent", user == 0 ? 0 : disk * 100 / user},
          {"memory.bytes", memory}};
}

absl::Status RocksDbStore::Close() {
  if (database_ == nullptr) return absl::OkStatus();
  const std::shared_ptr<Database> database = std::move(database_);
  // With views outstanding, the last of them closes it.
  if (database.use_count() > 1) return absl::OkStatus();
  return database->ToStatus(database->Close());
}

// Whether `path` holds a database. NotFound: none, or one whose making was cut
// short before anything could be written. DataLoss: what is left of one.
absl::Status LookForDatabase(const std::string& path, rocksdb::Env* env,
                             const StatusMapper& to_status) {
  std::vector<std::string> names;
  const rocksdb::Status status = env->GetChildren(path, &names);
  if (status.IsNotFound() || status.IsPathNotFound()) {
    return absl::NotFoundError("db: there is no database");
  }
  REENACT_RETURN_IF_ERROR(to_status(status));
  if (std::find(names.begin(), names.end(), "CURRENT") != names.end()) {
    return absl::OkStatus();
  }
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".log")) {
      return absl::DataLossError("db/CURRENT is missing, and " + name +
                                 " is there");
    }
  }
  return absl::NotFoundError("db: there is no database");
}

using Families = std::vector<rocksdb::ColumnFamilyDescriptor>;

rocksdb::Status OpenToWrite(const rocksdb::DBOptions& options,
                            const std::string& path, const Families& families,
                            Database* database) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(options, path, families, &database->families, &db);
  database->db.reset(db);
  return status;
}

// Beside a process that writes, and removes a file now and then between our
// reading its name and opening it: another try reads the new names.
rocksdb::Status OpenBeside(const rocksdb::DBOptions& options,
                           const std::string& path, const Families& families,
                           Database* database) {
  rocksdb::Status status;
  for (int tries = 0; tries < 3; ++tries) {
    rocksdb::DB* db = nullptr;
    status = rocksdb::DB::OpenForReadOnly(options, path, families,
                                          &database->families, &db);
    database->db.reset(db);
    if (!status.IsCorruption() && !status.IsPathNotFound()) break;
  }
  return status;
}

absl::Status OpenDatabase(const std::string& path,
                          const RocksDbOptions& options, Database* database) {
  rocksdb::DBOptions db_options = MakeDbOptions(options);
  database->file_system = std::make_shared<PrivateFileSystem>();
  database->env = rocksdb::NewCompositeEnv(database->file_system);
  database->statistics = db_options.statistics;
  db_options.env = database->env.get();

  const absl::Status found =
      LookForDatabase(path, database->env.get(), database->ToStatus);
  if (!absl::IsNotFound(found) || !options.create) {
    REENACT_RETURN_IF_ERROR(found);
  }
  const Families families = {
      {rocksdb::kDefaultColumnFamilyName, MakeFamilyOptions(kMebibyte)},
      {kBlocksName, MakeBlocksOptions(options)},
      {kCellsName, MakeCellsOptions(options)}};
  const rocksdb::Status status =
      options.read_only ? OpenBeside(db_options, path, families, database)
                        : OpenToWrite(db_options, path, families, database);
  if (status.ok()) return absl::OkStatus();
  const std::string message = database->ToStatus.Message(status);
  if (database->file_system->lock_is_held()) {
    return absl::FailedPreconditionError(
        "another process, or this one, has the database open: " + message);
  }
  // A column family is not there yet.
  if (options.read_only && status.IsInvalidArgument()) {
    return absl::NotFoundError("db: its making was not finished: " + message);
  }
  return database->ToStatus(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(
    const std::string& path, const RocksDbOptions& options) {
  std::string directory = path;
  while (directory.size() > 1 && directory.ends_with('/')) {
    directory.pop_back();
  }
  auto database = std::make_shared<Database>(directory);
  REENACT_RETURN_IF_ERROR(OpenDatabase(directory, options, database.get()));
  auto store =
      std::make_unique<RocksDbStore>(std::move(database), options.read_only);
  REENACT_RETURN_IF_ERROR(store->Load());
  return store;
}

}  // namespace reenact
