// The latest submission ids, and the inputs that they belong to.

#ifndef REENACT_SEQUENCER_SUBMISSION_IDS_H_
#define REENACT_SEQUENCER_SUBMISSION_IDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// A queue of ids that can be looked up: new ones come in at one end, the oldest
// are forgotten at the other. An id that comes again is in it twice, and stands
// for its latest input.
//
// Records lie in a ring, each in full, and are numbered from 1 on. Those with
// the same bucket are chained from the latest to the oldest, so whatever is
// beyond the first forgotten number in a chain is forgotten, too: forgetting
// touches no chain, and a chain may lead to records that are others by now.
//
// Thread safety: none.
class SubmissionIds {
 public:
  struct Record {
    std::string_view id() const { return {bytes.data(), size}; }

    std::uint64_t hash;
    std::uint64_t older;  // the number of the next one in the chain; 0: none
    InputId input;
    std::uint8_t size;
    std::array<char, kSubmissionIdBytesMax> bytes;
  };

  // The latest input with this id.
  std::optional<InputId> Find(std::string_view id) const;

  // REQUIRES: 1 to kSubmissionIdBytesMax bytes. Allocates only when there are
  // more ids than there have ever been.
  void Add(std::string_view id, InputId input);

  // Forgets the oldest until no more than `count` are left. O(1).
  void KeepLatest(std::uint64_t count) {
    if (size() > count) first_ = end_ - count;
  }

  std::uint64_t size() const { return end_ - first_; }
  // The `place`-th, counted from the oldest. REQUIRES: place < size().
  const Record& at(std::uint64_t place) const {
    return RecordOf(first_ + place);
  }

 private:
  // Sizes are powers of two, and equal.
  const Record& RecordOf(std::uint64_t number) const {
    return ring_[number & mask_];
  }
  std::uint64_t& BucketOf(std::uint64_t hash) { return buckets_[hash & mask_]; }
  void Chain(std::uint64_t number);
  void Grow();

  std::vector<Record> ring_;
  std::vector<std::uint64_t> buckets_;  // the latest number; 0: none
  std::uint64_t mask_ = 0;              // the size of either, less 1
  std::uint64_t first_ = 1;             // the oldest number that is remembered
  std::uint64_t end_ = 1;               // the number of the next one
};

}  // namespace reenact

#endif  // REENACT_SEQUENCER_SUBMISSION_IDS_H_
