#include "reenact/journal/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/journal/rocksdb/cell_layer.h"
#include "reenact/journal/rocksdb/flush_pace.h"
#include "reenact/journal/rocksdb/rocksdb_files.h"
#include "reenact/journal/rocksdb/status_mapper.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/listener.h"
#include "rocksdb/options.h"
#include "rocksdb/rate_limiter.h"
#include "rocksdb/sst_file_writer.h"
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
constexpr char kBlocksName[] = "blocks";
constexpr char kCellsName[] = "cells";
constexpr char kCellsThroughKey[] = "cells_through";
constexpr char kOldOpenWorkKey[] = "open_work";
constexpr std::string_view kOpenWorkPrefix = "open_work/";
constexpr char kWrittenKey[] = "written";
constexpr std::size_t kReducerSize = sizeof(ReducerId);
constexpr std::size_t kNumberSize = sizeof(std::uint64_t);

constexpr std::uint64_t kMebibyte = 1 << 20;
// RocksDB opens tables on threads made for that, 16 for each column family
// unless it is told another number, however few tables there are.
constexpr std::size_t kTablesPerThread = 32;
// A batch that grew beyond this is not kept for the next group.
constexpr std::size_t kKeptBatchBytes = 16 * kMebibyte;
// When a file is made of the cells in memory: at so many bytes of blocks, which
// is what opening after a crash has to read again, ...
constexpr std::uint64_t kBlockBytesMax = 32 * kMebibyte;
// ... so many layers, each of which a reader asks in turn, ...
constexpr std::size_t kLayersMax = 8;
// ... and so many records of open work that wait for it.
constexpr std::size_t kOpenWorksMax = 16;
// Commit() waits while files are made, beyond so many times as much.
constexpr std::size_t kBehindMax = 4;

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

// Where the cells say what they are as of; behind all of them.
std::string CellsThroughKey() { return CellKey(kNoReducer, kCellsThroughKey); }

std::string OpenWorkKey(std::uint64_t block_count) {
  std::string key(kOpenWorkPrefix);
  key.resize(key.size() + kNumberSize);
  PutBigEndian(block_count, key.data() + kOpenWorkPrefix.size());
  return key;
}

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

rocksdb::DBOptions MakeDbOptions(const RocksDbOptions& options) {
  rocksdb::DBOptions result;
  result.create_if_missing = options.create;
  // A crash while a database is made may leave it with fewer; nothing was
  // written to it then.
  result.create_missing_column_families = true;
  result.info_log = std::make_shared<NullLogger>();
  result.paranoid_checks = true;
  result.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Nothing resumes by itself: neither after errors that may pass, nor where a
  // disk was full, which the number does not cover.
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
  result.max_total_wal_size = options.write_buffer_bytes;
  // What a flush writes at once, and so what a sync of the log may wait behind.
  result.writable_file_max_buffer_size = kMebibyte / 4;
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
// the number of cells. Nothing but older worlds' logs and the clearing of cells
// goes through the memtable.
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
  return result;
}

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

rocksdb::ReadOptions ScanOptions() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = kMebibyte;
  return options;
}

// RocksDB is not written for exceptions: one that passes through it may leave
// locks taken and objects half made. So memory that runs out in there ends the
// process, which loses nothing that was durable.
template <typename Call>
decltype(auto) InDatabase(Call call) noexcept {
  return call();
}

// A RocksDB snapshot, and the layers that lay over it at that moment.
class RocksDbCellView final : public CellView {
 public:
  RocksDbCellView(std::shared_ptr<Database> database, CellLayers layers)
      : database_(std::move(database)),
        layers_(std::move(layers)),
        snapshot_(database_->db->GetSnapshot()) {}
  ~RocksDbCellView() override { database_->db->ReleaseSnapshot(snapshot_); }
  RocksDbCellView(const RocksDbCellView&) = delete;
  RocksDbCellView& operator=(const RocksDbCellView&) = delete;

  absl::Status Scan(ReducerId reducer, std::string_view from,
                    std::string_view to, const Visit& visit) const override {
    if (!to.empty() && to <= from) return absl::OkStatus();
    REENACT_CHECK(reducer != kNoReducer);
    const CellName end =
        to.empty() ? CellName(reducer + 1, "") : CellName(reducer, to);
    return EndOf(ScanRange(CellName(reducer, from), end, visit));
  }

  absl::Status ScanAll(const Visit& visit) const override {
    return EndOf(ScanRange(CellName(0, ""), CellName(kNoReducer, ""), visit));
  }

 private:
  static absl::Status EndOf(absl::Status status) {
    return absl::IsCancelled(status) ? absl::OkStatus() : status;
  }

  absl::Status ScanRange(const CellName& begin, const CellName& end,
                         const Visit& visit) const {
    const std::string upper_key = CellKey(end.first, end.second);
    const rocksdb::Slice upper(upper_key);
    rocksdb::ReadOptions options = ScanOptions();
    options.snapshot = snapshot_;
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> it(InDatabase([&] {
      return database_->db->NewIterator(options, database_->cells());
    }));
    CellLayersCursor over(layers_, begin);
    const std::string from = CellKey(begin.first, begin.second);
    for (InDatabase([&] { it->Seek(from); }); it->Valid();
         InDatabase([&] { it->Next(); })) {
      REENACT_ASSIGN_OR_RETURN(const CellName name, NameOf(it->key()));
      REENACT_RETURN_IF_ERROR(ShowLayers(name, visit, &over));
      if (over.Valid() && over.name() == name) continue;
      REENACT_RETURN_IF_ERROR(Show(name, ToView(it->value()), visit));
    }
    REENACT_RETURN_IF_ERROR(database_->ToStatus(it->status()));
    return ShowLayers(end, visit, &over);
  }

  // What the layers have before `end`.
  static absl::Status ShowLayers(const CellName& end, const Visit& visit,
                                 CellLayersCursor* over) {
    for (; over->Valid() && over->name() < end; over->Next()) {
      const CellLayer::Change& change = over->change();
      if (!change.exists) continue;
      const auto& [reducer, key] = over->name();
      REENACT_RETURN_IF_ERROR(
          visit(reducer, key, change.version, change.state));
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<CellName> NameOf(const rocksdb::Slice& key) {
    if (key.size() < kReducerSize) {
      return absl::DataLossError("db: a cell's key is too short");
    }
    return CellName(GetBigEndian<ReducerId>(key.data()),
                    ToView(key).substr(kReducerSize));
  }

  static absl::Status Show(const CellName& name, std::string_view value,
                           const Visit& visit) {
    REENACT_ASSIGN_OR_RETURN(const CellValue cell, ParseCellValue(value));
    return visit(name.first, name.second, cell.version, cell.state);
  }

  const std::shared_ptr<Database> database_;
  const CellLayers layers_;
  const rocksdb::Snapshot* const snapshot_;
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
  REENACT_RETURN_IF_ERROR(CheckOpen());
  REENACT_RETURN_IF_ERROR(database_->ToStatus(database_->background->Get()));
  MutexLock lock(&mutex_);
  return file_status_;
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
  batch_.Clear();
  if (size > kKeptBatchBytes) batch_ = rocksdb::WriteBatch();
  if (const auto pace = database_->pace.Wrote(size, instrument::NowNs())) {
    database_->limiter->SetBytesPerSecond(*pace);
  }
  return status;
}

absl::Status RocksDbStore::Load() noexcept {
  REENACT_RETURN_IF_ERROR(CheckRanges());
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
  rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->cells(), CellsThroughKey(), &value);
  if (status.IsNotFound()) {
    status = database_->db->Get(rocksdb::ReadOptions(), database_->meta(),
                                kCellsThroughKey, &value);
  }
  if (!status.IsNotFound()) {
    REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
    if (value.size() != kNumberSize) {
      return absl::DataLossError("db: cells_through is not a number");
    }
    filed_through_ = GetBigEndian<std::uint64_t>(value.data());
    cells_through_ = filed_through_.load();
  }
  status = database_->db->Get(rocksdb::ReadOptions(), database_->meta(),
                              kWrittenKey, &value);
  if (status.ok() && value.size() == 2 * kNumberSize) {
    user_bytes_before_ = GetBigEndian<std::uint64_t>(value.data());
    disk_bytes_before_ =
        GetBigEndian<std::uint64_t>(value.data() + kNumberSize);
  }
  return LoadOpenWorks();
}

absl::Status RocksDbStore::LoadOpenWorks() {
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db->NewIterator(ScanOptions(), database_->meta()));
  for (it->Seek(OpenWorkKey(0)); it->Valid(); it->Next()) {
    if (!ToView(it->key()).starts_with(kOpenWorkPrefix) ||
        it->key().size() != kOpenWorkPrefix.size() + kNumberSize) {
      break;
    }
    open_works_.push_back(
        GetBigEndian<std::uint64_t>(it->key().data() + kOpenWorkPrefix.size()));
  }
  return database_->ToStatus(it->status());
}

absl::Status RocksDbStore::Commit(const CommitGroup& group,
                                  bool sync) noexcept {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  REENACT_CHECK(group.blocks.empty() ? group.first_index <= block_count_
                                     : group.first_index == block_count_);
  std::uint64_t index = group.first_index;
  std::uint64_t block_bytes = 0;
  for (const Bytes& block : group.blocks) {
    batch_.Put(database_->blocks(), IndexKey(index++), block);
    block_bytes += block.size();
  }
  if (!group.open_work.empty()) AddOpenWork(index, group.open_work);
  REENACT_FAILPOINT_RETURN("store: batch made, before it is written");
  if (batch_.Count() > 0) REENACT_RETURN_IF_ERROR(Write(sync));
  REENACT_FAILPOINT_RETURN("store: blocks written, before the cells");
  if (!group.blocks.empty()) block_count_ = index;
  TakeCells(group, index, block_bytes);
  return FileCells(sync);
}

// Beside those that stay: the newest that the cells in files reach, and all
// later ones.
void RocksDbStore::AddOpenWork(std::uint64_t block_count, BytesView record) {
  const auto remove = [this](const rocksdb::Slice& key) {
    batch_.Delete(database_->meta(), key);
  };
  batch_.Put(database_->meta(), OpenWorkKey(block_count), ToSlice(record));
  if (open_works_.empty() || open_works_.back() < block_count) {
    open_works_.push_back(block_count);
  }
  const auto unreached = std::upper_bound(
      open_works_.begin(), open_works_.end(), filed_through_.load());
  if (unreached != open_works_.begin()) {
    const auto newest = unreached - 1;
    std::for_each(open_works_.begin(), newest, [&remove](std::uint64_t count) {
      remove(OpenWorkKey(count));
    });
    open_works_.erase(open_works_.begin(), newest);
    remove(kOldOpenWorkKey);
  }
  AddWritten();
}

// For whoever asks later; what a crash leaves is a little too low.
void RocksDbStore::AddWritten() {
  char value[2 * kNumberSize];
  PutBigEndian(user_bytes_before_ + user_bytes_, value);
  PutBigEndian(disk_bytes_before_ + DiskBytes(), value + kNumberSize);
  batch_.Put(database_->meta(), kWrittenKey,
             rocksdb::Slice(value, sizeof(value)));
}

void RocksDbStore::TakeCells(const CommitGroup& group, std::uint64_t through,
                             std::uint64_t block_bytes) {
  std::uint64_t given = block_bytes;
  MutexLock lock(&mutex_);
  for (const CellBatch* batch : group.cells) {
    for (std::size_t i = 0; i < batch->size(); ++i) active_->Set((*batch)[i]);
    given += batch->byte_size();
  }
  user_bytes_ += given;
  cells_through_ = through;
  block_bytes_ += block_bytes;
  if (!group.open_work.empty()) ++open_works_waiting_;
}

// Asks for a file if it is time for one. The log is synced before, so that
// cells in files are never ahead of the blocks that survive a power cut; by the
// writing thread, since RocksDB takes a sync after a failed write for a bug.
absl::Status RocksDbStore::FileCells(bool synced) {
  for (;;) {
    {
      MutexLock lock(&mutex_);
      while (IsBehind() && (due_ || busy_) && file_status_.ok()) {
        changed_.Wait(&mutex_);
      }
      if (due_ || !IsDue() || !file_status_.ok()) return absl::OkStatus();
    }
    if (!synced) REENACT_RETURN_IF_ERROR(Sync());
    REENACT_FAILPOINT_RETURN("store: before a file of cells is asked for");
    synced = true;
    AskForFile();
  }
}

void RocksDbStore::AskForFile() {
  MutexLock lock(&mutex_);
  Freeze();
  being_filed_ = frozen_.size();
  due_through_ = cells_through_;
  block_bytes_ = 0;
  open_works_waiting_ = 0;
  due_ = true;
  changed_.SignalAll();
}

void RocksDbStore::Freeze() const {
  if (active_->size() == 0) return;
  frozen_.push_back(std::move(active_));
  active_ = std::make_shared<CellLayer>();
}

std::size_t RocksDbStore::LayerBytes(std::size_t from) const {
  std::size_t bytes = active_->byte_size();
  for (std::size_t i = from; i < frozen_.size(); ++i) {
    bytes += frozen_[i]->byte_size();
  }
  return bytes;
}

bool RocksDbStore::IsDue() const {
  return block_bytes_ >= kBlockBytesMax ||
         frozen_.size() - being_filed_ >= kLayersMax ||
         open_works_waiting_ >= kOpenWorksMax ||
         LayerBytes(being_filed_) >= layer_bytes_max_;
}

bool RocksDbStore::IsBehind() const {
  return block_bytes_ >= kBehindMax * kBlockBytesMax ||
         frozen_.size() >= kBehindMax * kLayersMax ||
         LayerBytes(0) >= kBehindMax * layer_bytes_max_;
}

absl::Status RocksDbStore::StartThread() {
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(std::string("db: no thread: ") +
                                        error.what());
  }
  return absl::OkStatus();
}

void RocksDbStore::StopThread() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void RocksDbStore::Run() {
  CellLayers layers;
  std::uint64_t through = 0;
  while (WaitUntilDue(&layers, &through)) {
    const absl::Status status = WriteFile(layers, through);
    const std::size_t count = layers.size();
    layers.clear();
    MutexLock lock(&mutex_);
    busy_ = false;
    if (status.ok()) {
      const auto first = frozen_.begin();
      frozen_.erase(first, first + static_cast<std::ptrdiff_t>(count));
      being_filed_ -= count;
      filed_through_ = through;
    } else {
      file_status_ = status;
    }
    changed_.SignalAll();
  }
}

// False: it is time to stop.
bool RocksDbStore::WaitUntilDue(CellLayers* layers, std::uint64_t* through) {
  MutexLock lock(&mutex_);
  while (!stop_ && (!due_ || !file_status_.ok())) changed_.Wait(&mutex_);
  if (stop_) return false;
  due_ = false;
  busy_ = true;
  const auto first = frozen_.begin();
  layers->assign(first, first + static_cast<std::ptrdiff_t>(being_filed_));
  *through = due_through_;
  return true;
}

absl::Status RocksDbStore::WriteFile(const CellLayers& layers,
                                     std::uint64_t through) {
  Database& database = *database_;
  const std::string path = database.path + "/" + kNewCellsName;
  // What a crash has left may be a link to a file of the database, which must
  // not be written to; so it is not asked whether there is one.
  REENACT_RETURN_IF_ERROR(posix::RemoveFile(path));
  REENACT_FAILPOINT_RETURN("store: before a file of cells is made");
  REENACT_ASSIGN_OR_RETURN(const CellsFile made,
                           MakeFile(path, layers, through));
  REENACT_FAILPOINT_RETURN("D20 file of cells made, not taken over");
  REENACT_RETURN_IF_ERROR(database.files.CheckNewCells(path));
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.write_global_seqno = false;
  options.verify_checksums_before_ingest = true;
  const KeepTables keep;
  REENACT_RETURN_IF_ERROR(database.ToStatus(
      database.db->IngestExternalFile(database.cells(), {path}, options)));
  database.files.ForgetNewCells();
  return CheckTakenOver(made);
}

// What RocksDB has made of the file, against what was written: with another
// range of keys, its cells would be there and not be found.
absl::Status RocksDbStore::CheckTakenOver(const CellsFile& file) const {
  const TakenOver& taken = *database_->taken_over;
  if (taken.entries != file.entries) {
    return absl::DataLossError(
        "db/" + taken.name + ": it has " + std::to_string(taken.entries) +
        " entries, and " + std::to_string(file.entries) + " were written");
  }
  REENACT_RETURN_IF_ERROR(CheckRange(file));
  REENACT_RETURN_IF_ERROR(CheckCell(file.first_key, file.first_value));
  return CheckCell(CellsThroughKey(), file.last_value);
}

// Nothing if a compaction has already made other files of it.
absl::Status RocksDbStore::CheckRange(const CellsFile& file) const {
  const std::string& name = database_->taken_over->name;
  rocksdb::ColumnFamilyMetaData family;
  database_->db->GetColumnFamilyMetaData(database_->cells(), &family);
  for (const rocksdb::LevelMetaData& level : family.levels) {
    for (const rocksdb::SstFileMetaData& table : level.files) {
      if (table.relative_filename != name) continue;
      if (table.smallestkey == file.first_key &&
          table.largestkey == CellsThroughKey()) {
        return absl::OkStatus();
      }
      return absl::DataLossError("db/" + name +
                                 ": its range of keys is not that of the cells "
                                 "that were written to it");
    }
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::CheckCell(
    const rocksdb::Slice& key, const std::optional<std::string>& value) const {
  std::string found;
  const rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->cells(), key, &found);
  if (!status.IsNotFound()) {
    REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  }
  if (status.ok() == value.has_value() && (!value || found == *value)) {
    return absl::OkStatus();
  }
  return absl::DataLossError("db/" + database_->taken_over->name +
                             ": a cell that was written to it is not found");
}

// That no file of cells has an empty range of keys, as a read that failed when
// the file was taken over left it before that was checked: its cells are there,
// and nobody finds them.
absl::Status RocksDbStore::CheckRanges() const {
  rocksdb::ColumnFamilyMetaData family;
  database_->db->GetColumnFamilyMetaData(database_->cells(), &family);
  for (const rocksdb::LevelMetaData& level : family.levels) {
    for (const rocksdb::SstFileMetaData& table : level.files) {
      if (table.largestkey.size() >= kReducerSize) continue;
      return absl::DataLossError(
          "db/" + table.relative_filename +
          ": its range of keys holds no cell, so cells in it cannot be found");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CellsFile> RocksDbStore::MakeFile(const std::string& path,
                                                 const CellLayers& layers,
                                                 std::uint64_t through) {
  CellsFile made;
  const StatusMapper& to_status = database_->ToStatus;
  rocksdb::EnvOptions env_options;
  env_options.bytes_per_sync = kMebibyte;
  rocksdb::SstFileWriter file(env_options,
                              database_->db->GetOptions(database_->cells()),
                              database_->cells());
  REENACT_RETURN_IF_ERROR(to_status(file.Open(path)));
  std::string key;
  std::string value;
  for (CellLayersCursor cell(layers, CellName(0, "")); cell.Valid();
       cell.Next()) {
    const CellLayer::Change& change = cell.change();
    key.resize(kReducerSize);
    PutBigEndian(cell.name().first, key.data());
    key += cell.name().second;
    value.resize(kNumberSize);
    PutBigEndian(change.version.value, value.data());
    value += change.state;
    REENACT_RETURN_IF_ERROR(
        to_status(change.exists ? file.Put(key, value) : file.Delete(key)));
    if (made.entries++ > 0) continue;
    made.first_key = key;
    if (change.exists) made.first_value = value;
  }
  made.last_value.resize(kNumberSize);
  PutBigEndian(through, made.last_value.data());
  REENACT_RETURN_IF_ERROR(
      to_status(file.Put(CellsThroughKey(), made.last_value)));
  if (made.entries++ == 0) {
    made.first_key = CellsThroughKey();
    made.first_value = made.last_value;
  }
  REENACT_RETURN_IF_ERROR(to_status(file.Finish()));
  filed_bytes_ += file.FileSize();
  return made;
}

absl::Status RocksDbStore::Drain() {
  REENACT_RETURN_IF_ERROR(WaitForFile());
  {
    MutexLock lock(&mutex_);
    const bool filed = filed_through_ == cells_through_ &&
                       active_->size() == 0 && frozen_.empty();
    if (filed) return absl::OkStatus();
  }
  REENACT_RETURN_IF_ERROR(Sync());
  AskForFile();
  return WaitForFile();
}

absl::Status RocksDbStore::WaitForFile() {
  MutexLock lock(&mutex_);
  while ((due_ || busy_) && file_status_.ok()) changed_.Wait(&mutex_);
  return file_status_;
}

absl::StatusOr<Bytes> RocksDbStore::ReadOpenWork() const noexcept {
  REENACT_RETURN_IF_ERROR(CheckOpen());
  const std::unique_ptr<rocksdb::Iterator> it(
      database_->db->NewIterator(rocksdb::ReadOptions(), database_->meta()));
  it->SeekForPrev(OpenWorkKey(cells_through_));
  REENACT_RETURN_IF_ERROR(database_->ToStatus(it->status()));
  if (it->Valid() && ToView(it->key()).starts_with(kOpenWorkPrefix)) {
    return it->value().ToString();
  }
  std::string value;
  const rocksdb::Status status = database_->db->Get(
      rocksdb::ReadOptions(), database_->meta(), kOldOpenWorkKey, &value);
  if (status.IsNotFound()) return Bytes();
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  return value;
}

absl::Status RocksDbStore::Sync() noexcept {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  return Latch(database_->db->SyncWAL());
}

absl::StatusOr<Bytes> RocksDbStore::ReadBlock(
    std::uint64_t index) const noexcept {
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
  const std::unique_ptr<rocksdb::Iterator> it(InDatabase([&] {
    return database_->db->NewIterator(ScanOptions(), database_->blocks());
  }));
  InDatabase([&] { it->Seek(IndexKey(from)); });
  for (std::uint64_t index = from; index < count; ++index) {
    REENACT_RETURN_IF_ERROR(database_->ToStatus(it->status()));
    if (!it->Valid() || it->key() != IndexKey(index)) {
      return MissingBlock(index);
    }
    REENACT_RETURN_IF_ERROR(visit(index, ToView(it->value())));
    InDatabase([&] { it->Next(); });
  }
  return database_->ToStatus(it->status());
}

absl::StatusOr<std::optional<StoredCell>> RocksDbStore::ReadCell(
    ReducerId reducer, std::string_view key) const noexcept {
  REENACT_RETURN_IF_ERROR(CheckOpen());
  {
    const CellName name(reducer, key);
    MutexLock lock(&mutex_);
    const CellLayer::Change* change = active_->Find(name);
    for (auto layer = frozen_.rbegin();
         change == nullptr && layer != frozen_.rend(); ++layer) {
      change = (*layer)->Find(name);
    }
    if (change != nullptr && !change->exists) {
      return std::optional<StoredCell>();
    }
    if (change != nullptr) return StoredCell{change->version, change->state};
  }
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      database_->db->Get(rocksdb::ReadOptions(), database_->cells(),
                         CellKey(reducer, key), &value);
  if (status.IsNotFound()) return std::optional<StoredCell>();
  REENACT_RETURN_IF_ERROR(database_->ToStatus(status));
  REENACT_ASSIGN_OR_RETURN(const CellValue cell, ParseCellValue(ToView(value)));
  return std::optional<StoredCell>(StoredCell{cell.version, Bytes(cell.state)});
}

std::unique_ptr<CellView> RocksDbStore::View() const noexcept {
  REENACT_CHECK(database_ != nullptr);
  MutexLock lock(&mutex_);
  Freeze();
  return std::make_unique<RocksDbCellView>(database_, frozen_);
}

absl::Status RocksDbStore::ClearCells() noexcept {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  REENACT_RETURN_IF_ERROR(WaitForFile());
  {
    MutexLock lock(&mutex_);
    active_ = std::make_shared<CellLayer>();
    frozen_.clear();
    being_filed_ = 0;
    cells_through_ = 0;
  }
  batch_.DeleteRange(database_->cells(), rocksdb::Slice(""),
                     CellKey(kNoReducer, ""));
  batch_.Put(database_->cells(), CellsThroughKey(), IndexKey(0));
  REENACT_FAILPOINT_RETURN("store: before the cells are cleared");
  REENACT_RETURN_IF_ERROR(Write(true));
  filed_through_ = 0;
  return absl::OkStatus();
}

absl::Status RocksDbStore::CutBlocks(std::uint64_t count) noexcept {
  REENACT_RETURN_IF_ERROR(CheckWritable());
  if (count >= block_count_) return absl::OkStatus();
  // One by one: a range tombstone would burden every later read, and the tail
  // is short.
  for (std::uint64_t index = count; index < block_count_; ++index) {
    batch_.Delete(database_->blocks(), IndexKey(index));
  }
  REENACT_FAILPOINT_RETURN("store: before blocks are cut");
  for (; !open_works_.empty() && open_works_.back() > count;
       open_works_.pop_back()) {
    batch_.Delete(database_->meta(), OpenWorkKey(open_works_.back()));
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

std::uint64_t RocksDbStore::DiskBytes() const {
  const auto ticker = [this](rocksdb::Tickers name) {
    return database_->statistics->getTickerCount(name);
  };
  return ticker(rocksdb::WAL_FILE_BYTES) + ticker(rocksdb::FLUSH_WRITE_BYTES) +
         ticker(rocksdb::COMPACT_WRITE_BYTES) + filed_bytes_;
}

std::vector<std::pair<std::string, std::uint64_t>> RocksDbStore::Stats()
    const noexcept {
  if (database_ == nullptr) return {};
  using Properties = rocksdb::DB::Properties;
  const auto size = [this](rocksdb::ColumnFamilyHandle* family) {
    return Property(family, Properties::kTotalSstFilesSize);
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
  std::uint64_t in_layers = 0;
  std::uint64_t layer_bytes = 0;
  {
    MutexLock lock(&mutex_);
    in_layers = active_->size();
    for (const auto& layer : frozen_) in_layers += layer->size();
    layer_bytes = LayerBytes(0);
  }
  // One entry of the family is cells_through.
  std::uint64_t in_files =
      Property(database_->cells(), Properties::kEstimateNumKeys);
  if (in_files > 0) --in_files;
  const std::uint64_t user = user_bytes_before_ + user_bytes_;
  const std::uint64_t disk = disk_bytes_before_ + DiskBytes();
  return {{"blocks.count", block_count_},
          {"blocks.bytes", blocks + Property(database_->blocks(),
                                             Properties::kCurSizeAllMemTables)},
          {"cells.bytes", cells + Property(database_->cells(),
                                           Properties::kCurSizeAllMemTables)},
          {"cells.count.estimate", in_files + in_layers},
          {"db.bytes", size(database_->meta()) + blocks + cells + wal},
          {"wal.bytes", wal},
          {"written.user.bytes", user},
          {"written.disk.bytes", disk},
          {"write.amplification.percent", user == 0 ? 0 : disk * 100 / user},
          {"memory.bytes", memory + layer_bytes}};
}

absl::Status RocksDbStore::Close() noexcept {
  if (database_ == nullptr) return absl::OkStatus();
  absl::Status status;
  if (!read_only_ && failed_.ok()) {
    status = Drain();
    REENACT_FAILPOINT("store: cells filed, before it closes");
    if (status.ok() && user_bytes_ > 0) {
      AddWritten();
      status = Write(false);
    }
  }
  StopThread();
  const std::shared_ptr<Database> database = std::move(database_);
  // With views outstanding, the last of them closes it.
  if (database.use_count() > 1) return status;
  const absl::Status closed = database->ToStatus(database->Close());
  return status.ok() ? closed : status;
}

// Whether `path` holds a database, and of how many files of tables. NotFound:
// none, or one whose making was cut short before anything could be written.
// DataLoss: what is left of one.
absl::Status LookForDatabase(const std::string& path, rocksdb::Env* env,
                             const StatusMapper& to_status,
                             std::size_t* tables) {
  std::vector<std::string> names;
  const rocksdb::Status status = env->GetChildren(path, &names);
  if (status.IsNotFound() || status.IsPathNotFound()) {
    return absl::NotFoundError("db: there is no database");
  }
  REENACT_RETURN_IF_ERROR(to_status(status));
  *tables = static_cast<std::size_t>(std::count_if(
      names.begin(), names.end(),
      [](const std::string& name) { return name.ends_with(".sst"); }));
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

// RocksDB forgets for good what it could not read of its log, so it is first
// asked to open a log that is whole. Where that fails, a crash has torn the
// end, or the log was misread: only what cannot be read a second time either is
// the end of it.
rocksdb::Status OpenToWrite(const rocksdb::DBOptions& options,
                            const std::string& path, const Families& families,
                            Database* database) {
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions strict = options;
  strict.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  rocksdb::Status status =
      rocksdb::DB::Open(strict, path, families, &database->families, &db);
  if (status.IsCorruption()) {
    status =
        rocksdb::DB::Open(options, path, families, &database->families, &db);
  }
  database->db.reset(db);
  return status;
}

// Beside a process that writes, and removes a file now and then between our
// reading its name and opening it: another try reads the new names. The log is
// to be whole at first, as above; one that is being written need not be.
rocksdb::Status OpenBeside(const rocksdb::DBOptions& options,
                           const std::string& path, const Families& families,
                           Database* database) {
  rocksdb::DBOptions next = options;
  next.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  rocksdb::Status status;
  for (int tries = 0; tries < 4; ++tries) {
    rocksdb::DB* db = nullptr;
    status = rocksdb::DB::OpenForReadOnly(next, path, families,
                                          &database->families, &db);
    database->db.reset(db);
    if (!status.IsCorruption() && !status.IsPathNotFound()) break;
    next.wal_recovery_mode = options.wal_recovery_mode;
  }
  return status;
}

absl::Status OpenDatabase(const std::string& path,
                          const RocksDbOptions& options, Database* database) {
  rocksdb::DBOptions db_options = MakeDbOptions(options);
  database->statistics = db_options.statistics;
  db_options.rate_limiter = database->limiter;
  db_options.listeners.push_back(database->background);
  db_options.listeners.push_back(database->taken_over);
  db_options.env = database->files.env();

  std::size_t tables = 0;
  const absl::Status found =
      LookForDatabase(path, database->files.env(), database->ToStatus, &tables);
  if (!absl::IsNotFound(found) || !options.create) {
    REENACT_RETURN_IF_ERROR(found);
  }
  db_options.max_file_opening_threads = static_cast<int>(
      std::clamp<std::size_t>(tables / kTablesPerThread, 1, 16));
  const Families families = {
      {rocksdb::kDefaultColumnFamilyName, MakeFamilyOptions(kMebibyte)},
      {kBlocksName, MakeBlocksOptions(options)},
      {kCellsName, MakeCellsOptions(options)}};
  const rocksdb::Status status =
      options.read_only ? OpenBeside(db_options, path, families, database)
                        : OpenToWrite(db_options, path, families, database);
  if (status.ok()) return absl::OkStatus();
  const std::string message = database->ToStatus.Message(status);
  if (database->files.lock_is_held()) {
    return absl::FailedPreconditionError(
        "another process, or this one, has the database open: " + message);
  }
  if (options.read_only && status.IsInvalidArgument() &&
      message.find("olumn famil") != std::string::npos) {
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
  if (options.create) {
    REENACT_RETURN_IF_ERROR(posix::MakeDirectory(directory));
  }
  absl::StatusOr<posix::Directory> opened = posix::Directory::Open(directory);
  if (absl::IsNotFound(opened.status())) {
    return absl::NotFoundError("db: there is no database");
  }
  REENACT_RETURN_IF_ERROR(opened.status());
  auto database = std::make_shared<Database>(directory, *std::move(opened));
  REENACT_RETURN_IF_ERROR(InDatabase(
      [&] { return OpenDatabase(database->path, options, database.get()); }));
  auto store = std::make_unique<RocksDbStore>(std::move(database), options);
  REENACT_RETURN_IF_ERROR(store->Load());
  if (!options.read_only) REENACT_RETURN_IF_ERROR(store->StartThread());
  return store;
}

}  // namespace reenact
