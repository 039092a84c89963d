// The thread that makes sorted files of the cells in memory.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/base/mutex.h"
#include "reenact/base/posix_file.h"
#include "reenact/journal/rocksdb/cell_layer.h"
#include "reenact/journal/rocksdb/rocksdb_files.h"
#include "reenact/journal/rocksdb/rocksdb_store_impl.h"
#include "reenact/journal/rocksdb/status_mapper.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/options.h"
#include "rocksdb/sst_file_writer.h"

namespace reenact::rocksdb_store {
namespace {

// When a file is made of the cells in memory: at so many bytes of blocks, which
// is what opening after a crash has to read again, ...
constexpr std::uint64_t kBlockBytesMax = 32 * kMebibyte;
// ... so many layers, each of which a reader asks in turn, ...
constexpr std::size_t kLayersMax = 8;
// ... and so many records of open work that wait for it.
constexpr std::size_t kOpenWorksMax = 16;
// Commit() waits while files are made, beyond so many times as much.
constexpr std::size_t kBehindMax = 4;

}  // namespace

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

}  // namespace reenact::rocksdb_store
