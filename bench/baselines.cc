#include "bench/baselines.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "reenact/journal/directory/directory.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"

namespace reenact::bench {
namespace {

// A file that has its size and its blocks before anything is timed.
class PreparedFile {
 public:
  static absl::StatusOr<std::unique_ptr<PreparedFile>> Make(
      const std::filesystem::path& path, std::size_t size) {
    std::unique_ptr<PreparedFile> file(new PreparedFile);
    file->descriptor_ =
        open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->descriptor_ < 0) return Failed("open");
    const Bytes zeros(1 << 20, '\0');
    for (std::size_t done = 0; done < size; done += zeros.size()) {
      REENACT_RETURN_IF_ERROR(file->Write(zeros));
    }
    REENACT_RETURN_IF_ERROR(file->Sync());
    file->offset_ = 0;
    return file;
  }
  ~PreparedFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  PreparedFile(const PreparedFile&) = delete;
  PreparedFile& operator=(const PreparedFile&) = delete;

  absl::Status Write(BytesView bytes) {
    while (!bytes.empty()) {
      const ssize_t written =
          pwrite(descriptor_, bytes.data(), bytes.size(), offset_);
      if (written < 0) return Failed("write");
      offset_ += written;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return absl::OkStatus();
  }
  void Rewind() { offset_ = 0; }
  absl::Status Sync() {
    return fdatasync(descriptor_) == 0 ? absl::OkStatus() : Failed("sync");
  }

 private:
  PreparedFile() = default;
  static absl::Status Failed(std::string_view what) {
    return absl::ErrnoToStatus(errno, ToAbsl(what));
  }

  int descriptor_ = -1;
  off_t offset_ = 0;
};

// Appends of many threads, grouped.
class GroupCommitLog {
 public:
  static constexpr std::size_t kFileSize = 64 << 20;

  GroupCommitLog(std::unique_ptr<PreparedFile> file, bool sync)
      : sync_(sync), file_(std::move(file)) {}

  // Returns once the record, and what else waited, is written.
  absl::Status Append(BytesView record) {
    std::unique_lock<std::mutex> lock(mutex_);
    REENACT_RETURN_IF_ERROR(status_);
    Waiter self;
    waiting_.push_back(&self);
    pending_.append(record);
    self.turn.wait(lock, [&] { return self.done || !leading_; });
    if (!self.done) Lead(&lock, self);
    return status_;
  }

 private:
  struct Waiter {
    std::condition_variable turn;
    bool done = false;
  };

  void Lead(std::unique_lock<std::mutex>* lock, const Waiter& self) {
    leading_ = true;
    std::vector<Waiter*> group;
    group.swap(waiting_);
    writing_.clear();
    writing_.swap(pending_);
    lock->unlock();
    const absl::Status status = Write();
    lock->lock();
    leading_ = false;
    if (status_.ok()) status_ = status;
    for (Waiter* waiter : group) {
      waiter->done = true;
      if (waiter != &self) waiter->turn.notify_one();
    }
    if (!waiting_.empty()) waiting_.front()->turn.notify_one();
  }

  // One thread at a time.
  absl::Status Write() {
    written_ += writing_.size();
    if (written_ > kFileSize) {
      file_->Rewind();
      written_ = writing_.size();
    }
    REENACT_RETURN_IF_ERROR(file_->Write(writing_));
    return sync_ ? file_->Sync() : absl::OkStatus();
  }

  const bool sync_;
  const std::unique_ptr<PreparedFile> file_;
  std::size_t written_ = 0;
  Bytes writing_;

  std::mutex mutex_;
  bool leading_ = false;
  std::vector<Waiter*> waiting_;
  Bytes pending_;
  absl::Status status_;
};

absl::Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError(status.ToString());
}

std::size_t TotalSize(const std::vector<Bytes>& pieces) {
  std::size_t total = 0;
  for (const Bytes& piece : pieces) total += piece.size();
  return total;
}

}  // namespace

absl::StatusOr<std::vector<Bytes>> LastBlocks(
    const std::filesystem::path& directory, std::size_t blocks) {
  RocksDbOptions options;
  options.read_only = true;
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                           OpenRocksDbStore(WorldPaths(directory).db, options));
  const std::uint64_t count = store->block_count();
  std::vector<Bytes> found;
  REENACT_RETURN_IF_ERROR(
      store->ScanBlocks(count - std::min<std::uint64_t>(blocks, count),
                        [&](std::uint64_t, BytesView stored) {
                          found.emplace_back(stored);
                          return absl::OkStatus();
                        }));
  REENACT_RETURN_IF_ERROR(store->Close());
  return found;
}

std::vector<Bytes> Packed(const std::vector<Bytes>& blocks,
                          std::size_t groups) {
  groups = std::max<std::size_t>(groups, 1);
  const std::size_t per_piece = (blocks.size() + groups - 1) / groups;
  std::vector<Bytes> pieces;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i % per_piece == 0) pieces.emplace_back();
    pieces.back().append(blocks[i]);
  }
  return pieces;
}

absl::StatusOr<Timing> TimeRawFile(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces,
                                   bool sync) {
  REENACT_ASSIGN_OR_RETURN(
      std::unique_ptr<PreparedFile> file,
      PreparedFile::Make(directory / "raw", TotalSize(pieces)));
  const Stopwatch watch;
  for (const Bytes& piece : pieces) {
    REENACT_RETURN_IF_ERROR(file->Write(piece));
    if (sync) REENACT_RETURN_IF_ERROR(file->Sync());
  }
  return watch.Read();
}

absl::StatusOr<Timing> TimeRocksDb(const std::filesystem::path& directory,
                                   const std::vector<Bytes>& pieces,
                                   bool sync) {
  rocksdb::Options options;
  options.create_if_missing = true;
  REENACT_RETURN_IF_ERROR(
      FromRocksDb(rocksdb::DestroyDB(directory / "plain", options)));
  rocksdb::DB* opened = nullptr;
  REENACT_RETURN_IF_ERROR(
      FromRocksDb(rocksdb::DB::Open(options, directory / "plain", &opened)));
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions write;
  write.sync = sync;
  const Stopwatch watch;
  std::uint64_t index = 0;
  for (const Bytes& piece : pieces) {
    char key[8];
    for (int i = 0; i < 8; ++i)
      key[i] = static_cast<char>(index >> (56 - 8 * i));
    ++index;
    REENACT_RETURN_IF_ERROR(
        FromRocksDb(db->Put(write, rocksdb::Slice(key, sizeof key), piece)));
  }
  return watch.Read();
}

absl::StatusOr<std::vector<double>> SyncLatencies(
    const std::filesystem::path& directory, std::size_t count,
    std::size_t size) {
  const Bytes record(size, 'x');
  REENACT_ASSIGN_OR_RETURN(
      std::unique_ptr<PreparedFile> file,
      PreparedFile::Make(directory / "latency", count * size));
  std::vector<double> latencies;
  for (std::size_t i = 0; i < count; ++i) {
    const double start = WallSeconds();
    REENACT_RETURN_IF_ERROR(file->Write(record));
    REENACT_RETURN_IF_ERROR(file->Sync());
    latencies.push_back(WallSeconds() - start);
  }
  return latencies;
}

absl::StatusOr<double> WaitingAppendsPerSecond(
    const std::filesystem::path& directory, std::size_t threads, double seconds,
    std::size_t size, bool sync) {
  REENACT_ASSIGN_OR_RETURN(
      std::unique_ptr<PreparedFile> file,
      PreparedFile::Make(directory / "group", GroupCommitLog::kFileSize));
  GroupCommitLog log(std::move(file), sync);
  const Bytes record(size, 'x');
  std::atomic<std::size_t> appended{0};
  std::vector<absl::Status> status(threads);
  const double start = WallSeconds();
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < threads; ++i) {
    clients.emplace_back([&, i] {
      std::size_t count = 0;
      while (status[i].ok() && WallSeconds() < start + seconds) {
        status[i] = log.Append(record);
        ++count;
      }
      appended += count;
    });
  }
  for (std::thread& client : clients) client.join();
  const double taken = WallSeconds() - start;
  for (const absl::Status& each : status) REENACT_RETURN_IF_ERROR(each);
  return static_cast<double>(appended) / taken;
}

}  // namespace reenact::bench
