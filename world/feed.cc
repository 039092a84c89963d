#include "reenact/world/feed.h"

#include "reenact/kernel/authority/admission.h"
#include "reenact/world/admission.h"

namespace reenact {

absl::Status Feed::Begin(InputSource& source, const SourceMarks& known,
                         std::uint64_t format) {
  read_ = SourceRead();
  moved_ = false;
  if (!source.name().empty()) {
    REENACT_RETURN_IF_ERROR(CheckSourceName(source.name()));
    if (format < kFormatVersionSources) {
      return absl::FailedPreconditionError(
          "this world has format " + std::to_string(format) +
          ", which knows no sources by name; feed it one without");
    }
    if (known.size() >= kSourcesMax &&
        known.find(source.name()) == known.end()) {
      return absl::FailedPreconditionError(
          "this world remembers " + std::to_string(kSourcesMax) +
          " sources, which is the most; go on with one of their names");
    }
    read_.name = std::string(source.name());
  }
  source_ = &source;
  status_ = absl::OkStatus();
  return absl::OkStatus();
}

// An error of the source, or of what it gave, is its end.
bool Feed::Pull() {
  if (source_ == nullptr) return false;
  row_.clear();
  const absl::StatusOr<bool> more = source_->Next(&row_);
  if (!more.ok() || !*more) {
    EndWith(more.status());
    return false;
  }
  if (!CheckRow()) return false;
  if (!read_.name.empty() && !row_.empty() && row_.back().position != 0) {
    read_.mark.position = row_.back().position;
    moved_ = true;
  }
  return true;
}

void Feed::EndWith(absl::Status status) {
  if (moved_) read_.mark.digest = source_->digest();
  status_ = std::move(status);
  source_ = nullptr;
}

// All of a row or nothing. Notes the reducers of its inputs.
bool Feed::CheckRow() {
  reducers_.clear();
  for (const Input& input : row_) {
    const std::optional<ReducerId> reducer = rules_->Find(input.event.reducer);
    if (!reducer) {
      return Refuse(ForEvent(NoSuchReducer(input.event.reducer),
                             input.event.reducer, input.event.key));
    }
    absl::Status status = CheckAdmissible(input, rules_->limits);
    if (!status.ok()) {
      return Refuse(ForEvent(status, input.event.reducer, input.event.key));
    }
    reducers_.push_back(*reducer);
  }
  return true;
}

// The row, and with it the feed. False.
bool Feed::Refuse(absl::Status wrong) {
  // The source's digest is of one row too many by now.
  const bool moved = std::exchange(moved_, false);
  EndWith(std::move(wrong));
  read_.mark.digest = Digest();
  moved_ = moved;
  return false;
}

std::optional<SourceRead> Feed::TakeRead() {
  if (!std::exchange(moved_, false)) return std::nullopt;
  if (source_ != nullptr) read_.mark.digest = source_->digest();
  return read_;
}

}  // namespace reenact
