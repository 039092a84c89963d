#include "reenact/replay/writer.h"

#include <utility>

namespace reenact {

ComparingWriter::ComparingWriter(Options options, ReplayCells* cells,
                                 Findings* findings)
    : options_(std::move(options)),
      cells_(cells),
      findings_(findings),
      event_id_(options_.last_event.value),
      block_count_(options_.block_count),
      hash_(options_.hash) {}

void ComparingWriter::Append(std::unique_ptr<FinishedRound> round) {
  absl::Status result = status();
  if (result.ok()) result = Compare(*round);
  if (!result.ok()) {
    MutexLock lock(&mutex_);
    status_ = result;
  }
  round->Clear();
  spare_ = std::move(round);
}

std::unique_ptr<FinishedRound> ComparingWriter::Recycle() {
  if (spare_ == nullptr) return std::make_unique<FinishedRound>();
  return std::move(spare_);
}

absl::Status ComparingWriter::Compare(const FinishedRound& round) {
  if (options_.cancelled && options_.cancelled()) {
    return absl::CancelledError("interrupted");
  }
  const std::uint64_t index = block_count();
  const std::unique_ptr<KeptBlock> recorded = options_.recorded();
  if (recorded == nullptr) {
    return absl::DataLossError("block " + std::to_string(index) +
                               " cannot be read");
  }
  const BlockHeader header{index,
                           head_hash(),
                           round.round,
                           round.first,
                           round.ticket_count,
                           round.entry_count,
                           round.open_work_digest};
  if (recorded->header() != header || recorded->entries() != round.entries) {
    Digest hash;
    findings_->mismatch = index;
    findings_->recomputed = EncodeBlock(header, round.entries, &hash);
    return absl::DataLossError("block " + std::to_string(index) + " differs");
  }
  cells_->Apply(round.cells);
  {
    MutexLock lock(&mutex_);
    block_count_ = index + 1;
    hash_ = recorded->hash();
  }
  REENACT_RETURN_IF_ERROR(CheckSnapshot(round, header));
  REENACT_RETURN_IF_ERROR(CheckRecord(round, header));
  if (index == 0) return absl::OkStatus();
  event_id_ = header.last().value;
  if (options_.progress) options_.progress(header.last());
  return absl::OkStatus();
}

// Where a snapshot was taken, its file must say what the replay found.
absl::Status ComparingWriter::CheckSnapshot(const FinishedRound& round,
                                            const BlockHeader& header) {
  if (options_.snapshots == nullptr) return absl::OkStatus();
  const auto it = options_.snapshots->find(header.index + 1);
  if (it == options_.snapshots->end()) return absl::OkStatus();
  const KnownSnapshot& known = it->second;
  REENACT_ASSIGN_OR_RETURN(const Digest state, cells_->StateDigest());
  if (state != known.contents.digests.state) {
    return Wrong(known, "its cells are not the state");
  }
  if (round.open_work) {
    REENACT_RETURN_IF_ERROR(
        CheckQueues(known, round.open_work(header, head_hash())));
  }
  findings_->snapshots_checked.push_back(known.event_id);
  return absl::OkStatus();
}

// What the next opening would go on from must be what the replay found.
absl::Status ComparingWriter::CheckRecord(const FinishedRound& round,
                                          const BlockHeader& header) {
  const KnownSnapshot* const record = options_.record;
  if (record == nullptr || !round.open_work ||
      record->contents.header.block_count != header.index + 1) {
    return absl::OkStatus();
  }
  findings_->record_checked = true;
  return CheckQueues(*record, round.open_work(header, head_hash()));
}

absl::Status ComparingWriter::CheckQueues(const KnownSnapshot& known,
                                          BytesView open_work) {
  REENACT_ASSIGN_OR_RETURN(const SnapshotContents work,
                           DecodeOpenWork(open_work));
  if (work.header == known.contents.header &&
      work.sequencer == known.contents.sequencer) {
    return absl::OkStatus();
  }
  return Wrong(known, "its queues are not those");
}

absl::Status ComparingWriter::Wrong(const KnownSnapshot& known,
                                    const std::string& what) {
  findings_->problem = known.path + ": " + what + " at ticket " +
                       std::to_string(known.event_id.value);
  return absl::DataLossError(findings_->problem);
}

std::uint64_t ComparingWriter::block_count() const {
  MutexLock lock(&mutex_);
  return block_count_;
}

Digest ComparingWriter::head_hash() const {
  MutexLock lock(&mutex_);
  return hash_;
}

absl::Status ComparingWriter::status() const {
  MutexLock lock(&mutex_);
  return status_;
}

absl::StatusOr<bool> ComparingWriter::WaitDurable(EventId event_id,
                                                  std::uint64_t) const {
  REENACT_RETURN_IF_ERROR(status());
  return durable() >= event_id;
}

}  // namespace reenact
