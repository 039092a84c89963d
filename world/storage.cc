#include "reenact/world/storage.h"

#include <utility>

#include "reenact/journal/memory/memory_store.h"

namespace reenact {
namespace {

absl::Status NoSnapshots() {
  return absl::FailedPreconditionError(
      "a world in memory has no snapshots to go back to");
}

class StoreStorage final : public Storage {
 public:
  StoreStorage(std::unique_ptr<Store> store, std::optional<Checkpoint> start,
               bool records_open_work)
      : store_(std::move(store)),
        start_(std::move(start)),
        records_open_work_(records_open_work) {}

  absl::StatusOr<Opened> Open(OpenReport* report) override {
    report->created = !start_;
    Opened opened;
    opened.checkpoint = std::exchange(start_, std::nullopt);
    return opened;
  }
  Store* store() override { return store_.get(); }
  bool records_open_work() const override { return records_open_work_; }

  absl::Status WriteSnapshot(const Checkpoint&,
                             const SnapshotHeader&) override {
    return NoSnapshots();
  }
  absl::StatusOr<SnapshotHeader> ReadSnapshotHeader(EventId) const override {
    return NoSnapshots();
  }
  absl::StatusOr<RollbackTarget> ReadTarget(EventId) override {
    return NoSnapshots();
  }

 private:
  const std::unique_ptr<Store> store_;
  std::optional<Checkpoint> start_;
  const bool records_open_work_;
};

}  // namespace

std::unique_ptr<Storage> NewMemoryStorage() {
  return NewStoreStorage(NewMemoryStore(), std::nullopt, false);
}

std::unique_ptr<Storage> NewStoreStorage(std::unique_ptr<Store> store,
                                         std::optional<Checkpoint> start,
                                         bool records_open_work) {
  return std::make_unique<StoreStorage>(std::move(store), std::move(start),
                                        records_open_work);
}

}  // namespace reenact
