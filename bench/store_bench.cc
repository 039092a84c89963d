// How blocks and cells could be kept in RocksDB, and what each way costs: the
// measurement that journal/rocksdb/rocksdb_store.cc was chosen by.
//
//   store-bench [groups [repetitions [part of a name]]]
//
// The same groups (a block of 1024 tickets and the cells that they changed) are
// written in every way in turn, each into a database of its own, and again as
// often as is asked for. A line is the median: processor time of the writing
// thread and of the whole process per ticket, and bytes written to files per
// byte given (blocks, keys and states).

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/measure.h"
#include "bench/statistics.h"
#include "bench/temporary_directory.h"
#include "reenact/base/check.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/rng.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/memtablerep.h"
#include "rocksdb/options.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/sst_file_writer.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"

namespace reenact::bench {
namespace {

constexpr std::size_t kTickets = 1024;  // of a block
constexpr std::size_t kBlockBytes = 100 * kTickets;
constexpr std::size_t kKeySize = 16;
constexpr std::size_t kStateSize = 24;
constexpr std::size_t kMebibyte = 1 << 20;

enum class Cells {
  kInLog,     // with the block, in one batch
  kUnlogged,  // after the block, in a batch of their own that is not logged
  kFiles,     // in sorted files that are handed to the database whole
  kStore,  // as journal/rocksdb/rocksdb_store.cc does it: in files, by a thread
};

struct Variant {
  const char* name;
  Cells cells = Cells::kInLog;
  std::size_t merged = 1;  // cells are written every so many groups
  bool sorted = true;      // in the order of their keys
  bool hint = true;        // the memtable looks near the last one
  bool vector = false;     // the memtable is a vector
  bool blobs = false;      // blocks go to blob files
  bool recycled = false;   // log files are used again
  bool pipelined = false;  // log and memtable are written in turn
  std::size_t cells_buffer = 8 * kMebibyte;
};

// What a run writes: indices of cells by ticket, and one block's bytes.
struct Workload {
  std::string name;
  std::size_t cell_count;
};

std::string KeyOf(std::uint64_t cell) {
  std::string key(kKeySize, '0');
  for (std::size_t i = kKeySize; cell > 0; cell /= 10) {
    key[--i] = static_cast<char>('0' + cell % 10);
  }
  return key;
}

void Must(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

rocksdb::DBOptions DatabaseOptions(const Variant& variant) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.allow_concurrent_memtable_write = false;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 128 * kMebibyte;
  options.bytes_per_sync = kMebibyte;
  options.avoid_flush_during_shutdown = true;
  options.enable_pipelined_write = variant.pipelined;
  options.recycle_log_file_num = variant.recycled ? 4 : 0;
  options.statistics = rocksdb::CreateDBStatistics();
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(std::size_t buffer) {
  rocksdb::ColumnFamilyOptions options;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = buffer;
  options.max_write_buffer_number = 4;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

rocksdb::ColumnFamilyOptions BlocksOptions(const Variant& variant) {
  rocksdb::ColumnFamilyOptions options = FamilyOptions(16 * kMebibyte);
  options.enable_blob_files = variant.blobs;
  options.min_blob_size = 4096;
  return options;
}

rocksdb::ColumnFamilyOptions CellsOptions(const Variant& variant) {
  rocksdb::ColumnFamilyOptions options = FamilyOptions(variant.cells_buffer);
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (variant.hint) {
    options.memtable_insert_with_hint_prefix_extractor.reset(
        rocksdb::NewFixedPrefixTransform(4));
  }
  if (variant.vector) {
    options.memtable_factory.reset(new rocksdb::VectorRepFactory());
  }
  return options;
}

class Writer {
 public:
  virtual ~Writer() = default;
  virtual void Put(std::uint64_t index, const std::string& block,
                   const std::vector<std::uint64_t>& cells) = 0;
  // What is in memory goes to files, as far as a clean end needs it.
  virtual void Finish() = 0;
  virtual std::uint64_t BytesWritten() const = 0;
};

std::string StateOf(std::uint64_t index) {
  return std::string(kStateSize, static_cast<char>('a' + index % 26));
}

// One database, written in one way.
class DatabaseWriter final : public Writer {
 public:
  DatabaseWriter(const Variant& variant, const std::filesystem::path& path)
      : variant_(variant), path_(path) {
    const rocksdb::DBOptions options = DatabaseOptions(variant);
    statistics_ = options.statistics;
    rocksdb::DB* db = nullptr;
    Must(rocksdb::DB::Open(
        options, path.string(),
        {{rocksdb::kDefaultColumnFamilyName, FamilyOptions(kMebibyte)},
         {"blocks", BlocksOptions(variant)},
         {"cells", CellsOptions(variant)}},
        &families_, &db));
    db_.reset(db);
  }
  ~DatabaseWriter() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      Must(db_->DestroyColumnFamilyHandle(family));
    }
    Must(db_->Close());
  }
  DatabaseWriter(const DatabaseWriter&) = delete;
  DatabaseWriter& operator=(const DatabaseWriter&) = delete;

  void Put(std::uint64_t index, const std::string& block,
           const std::vector<std::uint64_t>& cells) override {
    batch_.Put(families_[1], KeyOf(index), block);
    Take(index, cells);
    const bool due = (index + 1) % variant_.merged == 0;
    if (variant_.cells == Cells::kInLog && due) AddCells(&batch_);
    rocksdb::WriteOptions durable;
    durable.sync = true;
    Must(db_->Write(durable, &batch_));
    batch_.Clear();
    if (variant_.cells != Cells::kInLog && due) WriteCells();
  }

  void Finish() override {
    if (variant_.cells == Cells::kInLog) return;
    if (!pending_.empty()) WriteCells();
    Must(db_->Flush(rocksdb::FlushOptions(), families_[2]));
  }

  std::uint64_t BytesWritten() const override {
    const auto count = [this](rocksdb::Tickers name) {
      return statistics_->getTickerCount(name);
    };
    return count(rocksdb::WAL_FILE_BYTES) + count(rocksdb::FLUSH_WRITE_BYTES) +
           count(rocksdb::COMPACT_WRITE_BYTES) +
           count(rocksdb::BLOB_DB_BLOB_FILE_BYTES_WRITTEN) + ingested_;
  }

 private:
  void Take(std::uint64_t index, const std::vector<std::uint64_t>& cells) {
    const std::string state = StateOf(index);
    if (variant_.merged == 1) {
      for (std::uint64_t cell : cells) rows_.emplace_back(KeyOf(cell), state);
    } else {
      for (std::uint64_t cell : cells) pending_[KeyOf(cell)] = state;
    }
  }

  void Order() {
    for (auto& [key, state] : pending_) rows_.emplace_back(key, state);
    pending_.clear();
    if (!variant_.sorted) return;
    std::stable_sort(
        rows_.begin(), rows_.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    // Of equal keys the last one counts.
    std::reverse(rows_.begin(), rows_.end());
    rows_.erase(std::unique(rows_.begin(), rows_.end(),
                            [](const auto& a, const auto& b) {
                              return a.first == b.first;
                            }),
                rows_.end());
    std::reverse(rows_.begin(), rows_.end());
  }

  void AddCells(rocksdb::WriteBatch* batch) {
    Order();
    for (const auto& [key, state] : rows_) {
      batch->Put(families_[2], key, state);
    }
    rows_.clear();
  }

  void WriteCells() {
    if (variant_.cells == Cells::kFiles) return WriteFile();
    AddCells(&batch_);
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    Must(db_->Write(unlogged, &batch_));
    batch_.Clear();
  }

  void WriteFile() {
    Order();
    const std::string name =
        (path_ / (std::to_string(++files_) + ".cells")).string();
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(),
                                  db_->GetOptions(families_[2]), families_[2]);
    Must(writer.Open(name));
    for (const auto& [key, state] : rows_) Must(writer.Put(key, state));
    rows_.clear();
    Must(writer.Finish());
    ingested_ += writer.FileSize();
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    Must(db_->IngestExternalFile(families_[2], {name}, options));
  }

  const Variant variant_;
  const std::filesystem::path path_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteBatch batch_;
  std::vector<std::pair<std::string, std::string>> rows_;
  std::unordered_map<std::string, std::string> pending_;
  std::uint64_t files_ = 0;
  std::uint64_t ingested_ = 0;
};

class StoreWriter final : public Writer {
 public:
  explicit StoreWriter(const std::filesystem::path& path) : path_(path) {
    RocksDbOptions options;
    options.create = true;
    store_ = OpenRocksDbStore(path.string(), options).value();
  }

  void Put(std::uint64_t index, const std::string& block,
           const std::vector<std::uint64_t>& cells) override {
    const std::string state = StateOf(index);
    batch_.Clear();
    for (std::uint64_t cell : cells) {
      batch_.Add(0, KeyOf(cell), EventId{index + 1}, state);
    }
    CommitGroup group;
    group.first_index = index;
    group.blocks.push_back(block);
    group.cells.push_back(&batch_);
    REENACT_CHECK(store_->CommitAndTake(&group, true).ok());
  }

  void Finish() override { REENACT_CHECK(store_->Close().ok()); }

  std::uint64_t BytesWritten() const override {
    RocksDbOptions options;
    options.read_only = true;
    const auto store = OpenRocksDbStore(path_.string(), options).value();
    for (const auto& [name, value] : store->Stats()) {
      if (name == "written.disk.bytes") return value;
    }
    return 0;
  }

 private:
  const std::filesystem::path path_;
  std::unique_ptr<Store> store_;
  CellBatch batch_;
};

std::unique_ptr<Writer> MakeWriter(const Variant& variant,
                                   const std::filesystem::path& path) {
  if (variant.cells == Cells::kStore) {
    return std::make_unique<StoreWriter>(path);
  }
  return std::make_unique<DatabaseWriter>(variant, path);
}

struct Outcome {
  std::vector<double> thread_ns, process_ns, wall_ns, amplification;
};

void RunOnce(const Variant& variant, const Workload& workload,
             std::size_t groups, Outcome* outcome) {
  const TemporaryDirectory directory;
  Rng rng(Seed{7});
  std::string block(kBlockBytes, '\0');
  for (char& byte : block) byte = static_cast<char>(rng.Below(256));
  std::vector<std::vector<std::uint64_t>> cells(groups);
  for (auto& group : cells) {
    for (std::size_t i = 0; i < kTickets; ++i) {
      group.push_back(rng.Below(workload.cell_count));
    }
  }
  const auto writer = MakeWriter(variant, directory.path() / "db");
  const Stopwatch watch;
  const double thread = ThreadCpuSeconds();
  for (std::size_t i = 0; i < groups; ++i) writer->Put(i, block, cells[i]);
  const double thread_seconds = ThreadCpuSeconds() - thread;
  writer->Finish();
  const Timing timing = watch.Read();
  const double tickets = static_cast<double>(groups * kTickets);
  const double given = static_cast<double>(groups * kBlockBytes) +
                       tickets * static_cast<double>(kKeySize + kStateSize);
  outcome->thread_ns.push_back(thread_seconds / tickets * 1e9);
  outcome->process_ns.push_back(timing.cpu / tickets * 1e9);
  outcome->wall_ns.push_back(timing.wall / tickets * 1e9);
  outcome->amplification.push_back(static_cast<double>(writer->BytesWritten()) /
                                   given);
}

std::vector<Variant> Variants() {
  using enum Cells;
  return {
      {.name = "one logged batch"},
      {.name = "  unsorted, no hint", .sorted = false, .hint = false},
      {.name = "  blocks in blob files", .blobs = true},
      {.name = "  recycled log", .recycled = true},
      {.name = "  pipelined", .pipelined = true},
      {.name = "  cells every 16 groups", .merged = 16},
      {.name = "cells unlogged", .cells = kUnlogged},
      {.name = "  unsorted", .cells = kUnlogged, .sorted = false},
      {.name = "  unsorted, no hint",
       .cells = kUnlogged,
       .sorted = false,
       .hint = false},
      {.name = "  vector memtable",
       .cells = kUnlogged,
       .hint = false,
       .vector = true},
      {.name = "  buffer of 64 MiB",
       .cells = kUnlogged,
       .cells_buffer = 64 * kMebibyte},
      {.name = "  every 16 groups", .cells = kUnlogged, .merged = 16},
      {.name = "  every 256 groups",
       .cells = kUnlogged,
       .merged = 256,
       .cells_buffer = 64 * kMebibyte},
      {.name = "  every 256, as files", .cells = kFiles, .merged = 256},
      {.name = "the store", .cells = kStore},
  };
}

void Compare(const Workload& workload, std::size_t groups,
             std::size_t repetitions, std::string_view wanted) {
  std::vector<Variant> variants = Variants();
  std::erase_if(variants, [wanted](const Variant& variant) {
    return std::string_view(variant.name).find(wanted) == wanted.npos;
  });
  std::vector<Outcome> outcomes(variants.size());
  for (std::size_t i = 0; i < repetitions; ++i) {
    for (std::size_t v = 0; v < variants.size(); ++v) {
      RunOnce(variants[v], workload, groups, &outcomes[v]);
    }
  }
  std::printf("%s\n%-26s %10s %10s %10s %10s\n", workload.name.c_str(), "",
              "writer ns", "process ns", "wall ns", "bytes");
  for (std::size_t v = 0; v < variants.size(); ++v) {
    std::printf("%-26s %10.0f %10.0f %10.0f %9.2fx\n", variants[v].name,
                Median(outcomes[v].thread_ns), Median(outcomes[v].process_ns),
                Median(outcomes[v].wall_ns), Median(outcomes[v].amplification));
  }
}

}  // namespace
}  // namespace reenact::bench

int main(int argc, char** argv) {
  using reenact::bench::Workload;
  const std::size_t groups =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000;
  const std::size_t repetitions =
      argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 7;
  if (groups == 0 || repetitions == 0) return 2;
  for (const Workload& workload :
       {Workload{"uniform over 100,000 cells", 100'000},
        Workload{"uniform over 1,000 cells", 1000},
        Workload{"uniform over 10,000,000 cells", 10'000'000}}) {
    reenact::bench::Compare(workload, groups, repetitions,
                            argc > 3 ? argv[3] : "");
  }
  return 0;
}
