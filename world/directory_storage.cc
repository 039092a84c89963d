// A world in a directory of its own: spec/journal.md.

#include <string>
#include <utility>
#include <vector>

#include "reenact/base/posix_file.h"
#include "reenact/base/test_points.h"
#include "reenact/committer/read_back.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/world/recovery.h"
#include "reenact/world/storage.h"

namespace reenact {
namespace {

class DirectoryStorage final : public Storage {
 public:
  DirectoryStorage(const std::string& path, bool must_exist,
                   std::uint64_t snapshots_kept)
      : paths_(path),
        must_exist_(must_exist),
        snapshots_kept_(snapshots_kept) {}

  absl::StatusOr<Opened> Open(OpenReport* report) override;
  absl::Status FinishCreation() override { return FixModes(paths_); }
  Store* store() override { return store_.get(); }
  absl::Status CheckOwner() const override {
    return ownership_ == nullptr ? absl::OkStatus() : ownership_->Check();
  }
  void Close() override { ownership_.reset(); }

  bool records_open_work() const override { return true; }
  bool keeps_snapshots() const override { return true; }
  absl::Status WriteSnapshot(const Checkpoint& checkpoint,
                             const SnapshotHeader& header) override;
  absl::StatusOr<SnapshotHeader> ReadSnapshotHeader(
      EventId event_id) const override;
  absl::StatusOr<RollbackTarget> ReadTarget(EventId event_id) override {
    return ReadRollbackTarget(paths_.Snapshot(event_id),
                              [this](std::uint64_t from, const auto& visit) {
                                return store_->ScanBlocks(from, visit);
                              });
  }

 private:
  absl::StatusOr<Opened> Create(OpenReport* report);
  absl::StatusOr<Opened> OpenExisting(OpenDecision decision,
                                      const Findings& findings,
                                      OpenReport* report);
  absl::Status NoSuchSnapshot(EventId event_id) const;

  WorldPaths paths_;
  const bool must_exist_;
  const std::uint64_t snapshots_kept_;
  std::unique_ptr<Ownership> ownership_;
  std::unique_ptr<Store> store_;
};

absl::StatusOr<Storage::Opened> DirectoryStorage::Open(OpenReport* report) {
  REENACT_ASSIGN_OR_RETURN(Findings findings, Inspect(paths_));
  OpenDecision decision = Decide(findings);
  REENACT_RETURN_IF_ERROR(RefusalStatus(decision, findings, paths_));
  if (decision == OpenDecision::kCreate) {
    if (must_exist_) {
      return absl::NotFoundError(paths_.directory + ": there is no world here");
    }
    REENACT_RETURN_IF_ERROR(CreateWorldDirectory(paths_));
    REENACT_FAILPOINT_RETURN("directory made");
  }
  // From here on by the directory, not by its name.
  REENACT_ASSIGN_OR_RETURN(paths_, paths_.Opened());
  REENACT_ASSIGN_OR_RETURN(ownership_, AcquireOwnership(paths_));
  REENACT_FAILPOINT_RETURN("owner of the directory");
  // Once more, now that nobody else can change it.
  REENACT_ASSIGN_OR_RETURN(findings, Inspect(paths_));
  decision = Decide(findings);
  REENACT_RETURN_IF_ERROR(RefusalStatus(decision, findings, paths_));
  return decision == OpenDecision::kCreate
             ? Create(report)
             : OpenExisting(decision, findings, report);
}

absl::StatusOr<Storage::Opened> DirectoryStorage::Create(OpenReport* report) {
  RocksDbOptions options;
  options.create = true;
  REENACT_ASSIGN_OR_RETURN(store_, OpenRocksDbStore(paths_.db, options));
  report->created = true;
  REENACT_FAILPOINT_RETURN("database made");
  Opened opened;
  opened.epoch = 1;
  REENACT_ASSIGN_OR_RETURN(opened.head,
                           HeadFile::Open(paths_.head, std::nullopt));
  return opened;
}

absl::StatusOr<Storage::Opened> DirectoryStorage::OpenExisting(
    OpenDecision decision, const Findings& findings, OpenReport* report) {
  REENACT_ASSIGN_OR_RETURN(store_, OpenRocksDbStore(paths_.db, {}));
  // Read twice: differently, if the disk cannot be trusted.
  if (store_->block_count() < findings.kept_blocks()) {
    return absl::DataLossError(
        posix::Shown(paths_.db) + ": " +
        std::to_string(findings.kept_blocks()) +
        " blocks were there at first, and then " +
        std::to_string(store_->block_count()) +
        "; look after the disk, restore db/ from a backup");
  }
  REENACT_FAILPOINT_RETURN("database open, nothing recovered");
  Opened opened;
  REENACT_ASSIGN_OR_RETURN(
      opened.checkpoint,
      Recover(paths_, decision, findings, store_.get(), report));
  REENACT_FAILPOINT_RETURN("recovered, before the head record");
  if (findings.head) opened.epoch = findings.head->epoch + 1;
  REENACT_ASSIGN_OR_RETURN(opened.head,
                           HeadFile::Open(paths_.head, findings.head));
  return opened;
}

absl::Status DirectoryStorage::WriteSnapshot(const Checkpoint& checkpoint,
                                             const SnapshotHeader& header) {
  const std::string path = paths_.Snapshot(checkpoint.event_id);
  REENACT_RETURN_IF_ERROR(
      WriteSnapshotFile(path, header, checkpoint.sequencer, *store_->View())
          .status());
  if (kReadBack) REENACT_RETURN_IF_ERROR(ReadSnapshotFile(path).status());
  REENACT_FAILPOINT_RETURN("D19 snapshot in place, old ones still there");
  if (snapshots_kept_ == 0) return absl::OkStatus();
  return RemoveOldSnapshots(paths_.snapshots, snapshots_kept_);
}

absl::StatusOr<SnapshotHeader> DirectoryStorage::ReadSnapshotHeader(
    EventId event_id) const {
  const std::string path = paths_.Snapshot(event_id);
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(path));
  if (kind != posix::Kind::kFile) return NoSuchSnapshot(event_id);
  REENACT_ASSIGN_OR_RETURN(SnapshotContents contents, ReadSnapshotFile(path));
  if (contents.header.round.value == 0 ||
      contents.header.event_id != event_id) {
    return absl::DataLossError(path + ": it is not what its name says");
  }
  return std::move(contents.header);
}

absl::Status DirectoryStorage::NoSuchSnapshot(EventId event_id) const {
  std::string there;
  const absl::StatusOr<std::vector<EventId>> ids =
      ListSnapshots(paths_.snapshots);
  REENACT_RETURN_IF_ERROR(ids.status());
  for (const EventId id : *ids) {
    there += (there.empty() ? "" : ", ") + std::to_string(id.value);
  }
  return absl::NotFoundError(
      "no snapshot was kept of ticket " + std::to_string(event_id.value) +
      (there.empty() ? "; there is none at all" : "; there are " + there));
}

}  // namespace

std::unique_ptr<Storage> NewDirectoryStorage(const std::string& path,
                                             bool must_exist,
                                             std::uint64_t snapshots_kept) {
  return std::make_unique<DirectoryStorage>(path, must_exist, snapshots_kept);
}

}  // namespace reenact
