// Whether a round is written by the thread that committed it.

#ifndef REENACT_WORLD_INLINE_WRITES_H_
#define REENACT_WORLD_INLINE_WRITES_H_

#include <cstdint>

namespace reenact {

// A round that is alone, and was made in less time than writing one takes, is
// written by whoever committed it: making the next one meanwhile would gain
// little, and waking the writer's thread costs about as much. What arrives
// during the write is the next round.
//
// Thread safety: none; it belongs to the ordered role.
class InlineWrites {
 public:
  // Whether a round that took `made_ns` to be made is written here. Now and
  // then it is whatever it took, to see what writing takes by now.
  bool ShouldWrite(std::uint64_t made_ns) {
    return made_ns * kPart <= write_ns_ || asked_++ % kProbe == 0;
  }
  // Writing one here took so long.
  void Observe(std::uint64_t ns) {
    write_ns_ = write_ns_ == 0 ? ns : (7 * write_ns_ + ns) / 8;
  }

 private:
  // Made in less than one in so many of the time that writing takes.
  static constexpr std::uint64_t kPart = 2;
  // One of so many that take longer is written here, too.
  static constexpr std::uint64_t kProbe = 64;

  std::uint64_t write_ns_ = 0;  // lately; 0: not known
  std::uint64_t asked_ = 0;
};

}  // namespace reenact

#endif  // REENACT_WORLD_INLINE_WRITES_H_
