#include "reenact/sequencer/submission_ids.h"

#include <algorithm>
#include <cstring>

#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/kernel/cell_hash.h"

namespace reenact {
namespace {

constexpr std::size_t kSizeAtFirst = 16;

std::uint64_t HashOf(std::string_view id) { return HashBytes(0, id); }

}  // namespace

std::optional<InputId> SubmissionIds::Find(std::string_view id) const {
  if (size() == 0) return std::nullopt;
  const std::uint64_t hash = HashOf(id);
  std::uint64_t number = buckets_[hash & mask_];
  while (number >= first_) {
    const Record& record = RecordOf(number);
    if (record.hash == hash && record.id() == id) {
      REENACT_PROBE("submission ids: one is known");
      return record.input;
    }
    number = record.older;
  }
  return std::nullopt;
}

void SubmissionIds::Add(std::string_view id, InputId input) {
  REENACT_CHECK(!id.empty() && id.size() <= kSubmissionIdBytesMax);
  if (size() > mask_ || ring_.empty()) Grow();
  Record& record = ring_[end_ & mask_];
  record.hash = HashOf(id);
  record.input = input;
  record.size = static_cast<std::uint8_t>(id.size());
  std::memcpy(record.bytes.data(), id.data(), id.size());
  Chain(end_++);
}

// Makes a record the latest of its chain.
void SubmissionIds::Chain(std::uint64_t number) {
  Record& record = ring_[number & mask_];
  std::uint64_t& bucket = BucketOf(record.hash);
  record.older = bucket;
  bucket = number;
}

void SubmissionIds::Grow() {
  REENACT_PROBE("submission ids: there is no room");
  const std::size_t size = std::max(kSizeAtFirst, 2 * ring_.size());
  std::vector<Record> ring(size);
  for (std::uint64_t number = first_; number != end_; ++number) {
    ring[number & (size - 1)] = RecordOf(number);
  }
  ring_.swap(ring);
  mask_ = size - 1;
  buckets_.assign(size, 0);
  for (std::uint64_t number = first_; number != end_; ++number) Chain(number);
}

}  // namespace reenact
