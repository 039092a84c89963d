#include "reenact/journal/block_stream.h"

#include <deque>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "reenact/base/mutex.h"

namespace reenact {
namespace {

// Blocks are read and handed over so many at a time: one scan, one lock.
constexpr std::size_t kBatchBytes = 1 << 20;
constexpr std::size_t kBatchBlocks = 256;
// Batches that wait to be taken.
constexpr std::size_t kBatchesAhead = 4;

struct Batch {
  std::vector<std::unique_ptr<KeptBlock>> blocks;
  absl::Status status;  // of what comes after them
  bool last = false;    // nothing comes after them
};

// Reads one batch after the other.
class BatchReader {
 public:
  BatchReader(BlockStream::Scan scan, const ChainEnd& before, std::uint64_t end,
              bool inputs)
      : scan_(std::move(scan)), last_(before), end_(end), inputs_(inputs) {}

  Batch Read() {
    Batch batch;
    std::size_t bytes = 0;
    bool full = false;
    if (next() < end_) {
      batch.status = scan_(
          next(), [&](std::uint64_t index, BytesView stored) -> absl::Status {
            REENACT_RETURN_IF_ERROR(Take(index, stored, &batch));
            bytes += stored.size();
            full = bytes >= kBatchBytes ||
                   batch.blocks.size() >= kBatchBlocks || index + 1 == end_;
            return full ? absl::CancelledError("a batch is full")
                        : absl::OkStatus();
          });
      if (full) batch.status = absl::OkStatus();
    }
    if (!full && batch.status.ok() && next() < end_) {
      batch.status = absl::DataLossError("block " + std::to_string(next()) +
                                         ": the scan ends before it");
    }
    batch.last = !batch.status.ok() || next() >= end_;
    return batch;
  }

 private:
  // The index of the block to be read.
  std::uint64_t next() const {
    return last_.nothing ? 0 : last_.header.index + 1;
  }

  absl::Status Take(std::uint64_t index, BytesView stored, Batch* batch) {
    auto block = std::make_unique<KeptBlock>();
    absl::Status status = block->Set(stored);
    if (status.ok() && !last_.nothing) {
      status = CheckFollows(last_.header, last_.hash, block->header());
    }
    if (!status.ok()) {
      return Annotate(status, "block " + std::to_string(index));
    }
    if (inputs_) block->ReadInputs();
    last_ = {block->header(), block->hash(), false};
    batch->blocks.push_back(std::move(block));
    return absl::OkStatus();
  }

  const BlockStream::Scan scan_;
  ChainEnd last_;
  const std::uint64_t end_;
  const bool inputs_;
};

// Gives out what comes in batches.
class BatchedStream : public BlockStream {
 public:
  absl::StatusOr<std::unique_ptr<KeptBlock>> Next() final {
    if (next_ == batch_.blocks.size()) {
      if (!batch_.last && batch_.status.ok()) {
        batch_ = NextBatch();
        next_ = 0;
      }
      if (next_ == batch_.blocks.size()) {
        if (!batch_.status.ok()) return batch_.status;
        return std::unique_ptr<KeptBlock>();
      }
    }
    return std::move(batch_.blocks[next_++]);
  }

 private:
  virtual Batch NextBatch() = 0;

  Batch batch_;
  std::size_t next_ = 0;
};

class SerialStream final : public BatchedStream {
 public:
  explicit SerialStream(BatchReader reader) : reader_(std::move(reader)) {}

 private:
  Batch NextBatch() override { return reader_.Read(); }

  BatchReader reader_;
};

class AheadStream final : public BatchedStream {
 public:
  explicit AheadStream(BatchReader reader) : reader_(std::move(reader)) {}
  ~AheadStream() override {
    {
      MutexLock lock(&mutex_);
      stop_ = true;
      changed_.SignalAll();
    }
    if (thread_.joinable()) thread_.join();
  }

  // False: there is no thread to be had.
  bool StartThread() {
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error&) {
      return false;
    }
    return true;
  }

  BatchReader TakeReader() { return std::move(reader_); }

 private:
  void Run() {
    for (bool last = false; !last;) {
      Batch batch = reader_.Read();
      last = batch.last;
      MutexLock lock(&mutex_);
      while (!stop_ && waiting_.size() >= kBatchesAhead) {
        changed_.Wait(&mutex_);
      }
      if (stop_) return;
      waiting_.push_back(std::move(batch));
      changed_.SignalAll();
    }
  }

  Batch NextBatch() override {
    MutexLock lock(&mutex_);
    while (waiting_.empty()) changed_.Wait(&mutex_);
    Batch batch = std::move(waiting_.front());
    waiting_.pop_front();
    changed_.SignalAll();
    return batch;
  }

  BatchReader reader_;  // the thread's, once it runs
  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Batch> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::Status KeptBlock::Set(BytesView bytes) {
  stored_.assign(bytes);
  REENACT_ASSIGN_OR_RETURN(view_, DecodeBlock(stored_));
  return absl::OkStatus();
}

ChainEnd ChainEndBefore(std::uint64_t index, Round round, EventId last,
                        const Digest& hash) {
  ChainEnd end;
  end.header.index = index - 1;
  end.header.round = round;
  end.header.first = last.Next();
  end.hash = hash;
  return end;
}

std::unique_ptr<BlockStream> BlockStream::Start(Scan scan,
                                                const ChainEnd& before,
                                                std::uint64_t end, bool ahead,
                                                bool inputs) {
  BatchReader reader(std::move(scan), before, end, inputs);
  if (!ahead) return std::make_unique<SerialStream>(std::move(reader));
  auto stream = std::make_unique<AheadStream>(std::move(reader));
  if (stream->StartThread()) return stream;
  return std::make_unique<SerialStream>(stream->TakeReader());
}

bool HasCoreToSpare() { return std::thread::hardware_concurrency() > 1; }

}  // namespace reenact
