#include "reenact/harness/disk_in_memory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/journal/block.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/world/forward.h"

namespace reenact::harness {

class DiskInMemory::Connection final : public Store {
 public:
  explicit Connection(DiskInMemory* disk) : disk_(disk) {}

  absl::Status Commit(const CommitGroup& group, bool sync) override {
    CommitGroup copy = group;
    return CommitAndTake(&copy, sync);
  }
  absl::Status CommitAndTake(CommitGroup* group, bool sync) override {
    instrument::Yield("disk.write", disk_);
    REENACT_RETURN_IF_ERROR(disk_->Operation());
    std::vector<EventId> last;
    for (const Bytes& block : group->blocks) {
      REENACT_ASSIGN_OR_RETURN(const BlockView view, DecodeBlock(block));
      last.push_back(view.header.last());
    }
    REENACT_RETURN_IF_ERROR(store().CommitAndTake(group, sync));
    disk_->last_events_.insert(disk_->last_events_.end(), last.begin(),
                               last.end());
    return sync ? Sync() : absl::OkStatus();
  }
  absl::Status Sync() override {
    instrument::Yield("disk.sync", disk_);
    REENACT_RETURN_IF_ERROR(disk_->Operation());
    disk_->Synced();
    instrument::Yield("disk.synced", disk_);
    return absl::OkStatus();
  }

  std::uint64_t block_count() const override { return store().block_count(); }
  absl::StatusOr<Bytes> ReadBlock(std::uint64_t index) const override {
    return store().ReadBlock(index);
  }
  absl::Status ScanBlocks(
      std::uint64_t from,
      const std::function<absl::Status(std::uint64_t, BytesView)>& visit)
      const override {
    return store().ScanBlocks(from, visit);
  }
  std::uint64_t cells_through() const override {
    return store().cells_through();
  }
  absl::StatusOr<std::optional<StoredCell>> ReadCell(
      ReducerId reducer, std::string_view key) const override {
    return store().ReadCell(reducer, key);
  }
  absl::StatusOr<Bytes> ReadOpenWork() const override {
    return store().ReadOpenWork();
  }
  std::unique_ptr<CellView> View() const override { return store().View(); }
  absl::Status ClearCells() override { return store().ClearCells(); }
  absl::Status CutBlocks(std::uint64_t count) override {
    return store().CutBlocks(count);
  }
  std::vector<std::pair<std::string, std::uint64_t>> Stats() const override {
    return store().Stats();
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  Store& store() const { return *disk_->store_; }

  DiskInMemory* const disk_;
};

DiskInMemory::DiskInMemory() : store_(NewMemoryStore()) {}
DiskInMemory::~DiskInMemory() = default;

std::unique_ptr<Store> DiskInMemory::Connect() {
  return std::make_unique<Connection>(this);
}

absl::Status DiskInMemory::Operation() {
  if (off_) return absl::UnavailableError("the power is off");
  ++operations_;
  if (fail_at_ == 0 || operations_ < fail_at_) return absl::OkStatus();
  off_ = true;
  return absl::ResourceExhaustedError("no space left on device");
}

void DiskInMemory::Synced() {
  synced_ = last_events_.size();
  if (synced_ > 0) synced_event_ = last_events_[synced_ - 1];
}

std::uint64_t DiskInMemory::block_count() const {
  return store_->block_count();
}

std::vector<Bytes> DiskInMemory::Blocks() const {
  std::vector<Bytes> blocks;
  (void)store_->ScanBlocks(0, [&blocks](std::uint64_t, BytesView stored) {
    blocks.emplace_back(stored);
    return absl::OkStatus();
  });
  return blocks;
}

void DiskInMemory::PowerUp(std::uint64_t unsynced_kept) {
  std::vector<Bytes> blocks = Blocks();
  blocks.resize(
      std::min<std::uint64_t>(blocks.size(), synced_ + unsynced_kept));
  last_events_.resize(blocks.size());
  store_ = NewMemoryStore();
  CommitGroup group;
  group.blocks = std::move(blocks);
  if (!group.blocks.empty()) {
    (void)store_->CommitAndTake(&group, true);
    (void)store_->ClearCells();
  }
  Synced();
  off_ = false;
  fail_at_ = 0;
}

absl::StatusOr<std::optional<Checkpoint>> DiskInMemory::Recover() {
  if (store_->block_count() == 0) return std::optional<Checkpoint>();
  REENACT_ASSIGN_OR_RETURN(
      Checkpoint place,
      CheckpointAfterGenesis([this](std::uint64_t from, const auto& visit) {
        return store_->ScanBlocks(from, visit);
      }));
  ForwardOptions forward;
  forward.read_ahead = false;
  REENACT_RETURN_IF_ERROR(
      FastForward(store_.get(), store_->block_count(), &place, forward));
  return std::optional<Checkpoint>(std::move(place));
}

}  // namespace reenact::harness
