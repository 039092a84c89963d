#include "reenact/journal/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/journal/rocksdb/cell_layer.h"
#include "reenact/journal/rocksdb/flush_pace.h"
#include "reenact/journal/rocksdb/rocksdb_files.h"
#include "reenact/journal/rocksdb/rocksdb_store_impl.h"
#include "reenact/journal/rocksdb/status_mapper.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/rate_limiter.h"
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
namespace rocksdb_store {
namespace {

constexpr char kBlocksName[] = "blocks";
constexpr char kCellsName[] = "cells";
constexpr char kOldOpenWorkKey[] = "open_work";
constexpr std::string_view kOpenWorkPrefix = "open_work/";
constexpr char kWrittenKey[] = "written";

// RocksDB opens tables on threads made for that, 16 for each column family
// unless it is told another number, however few tables there are.
constexpr std::size_t kTablesPerThread = 32;
// A batch that grew beyond this is not kept for the next group.
constexpr std::size_t kKeptBatchBytes = 16 * kMebibyte;

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

rocksdb::Slice ToSlice(std::string_view text) {
  return rocksdb::Slice(text.data(), text.size());
}

std::string_view ToView(const rocksdb::Slice& slice) {
  return std::string_view(slice.data(), slice.size());
}

std::string OpenWorkKey(std::uint64_t block_count) {
  std::string key(kOpenWorkPrefix);
  key.resize(key.size() + kNumberSize);
  PutBigEndian(block_count, key.data() + kOpenWorkPrefix.size());
  return key;
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

absl::Status MissingBlock(std::uint64_t index) {
  return absl::DataLossError("db: block " + std::to_string(index) +
                             " is missing");
}

}  // namespace

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

namespace {

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
}  // namespace rocksdb_store

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(
    const std::string& path, const RocksDbOptions& options) {
  using rocksdb_store::Database;
  using rocksdb_store::RocksDbStore;
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
  REENACT_RETURN_IF_ERROR(rocksdb_store::InDatabase([&] {
    return rocksdb_store::OpenDatabase(database->path, options, database.get());
  }));
  auto store = std::make_unique<RocksDbStore>(std::move(database), options);
  REENACT_RETURN_IF_ERROR(store->Load());
  if (!options.read_only) REENACT_RETURN_IF_ERROR(store->StartThread());
  return store;
}

}  // namespace reenact
