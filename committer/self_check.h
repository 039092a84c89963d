// Looking whether steps are pure: a sample of them runs once more.

#ifndef REENACT_COMMITTER_SELF_CHECK_H_
#define REENACT_COMMITTER_SELF_CHECK_H_

#include <cstdint>
#include <functional>

#include "reenact/workers/slot.h"
#include "reenact/workers/window.h"

namespace reenact {

// Runs one step of `every` a second time as it commits, and marks its result as
// impure if that differs. The sample is spread over all tickets and the same in
// each run of a history, so a mistake that was found is found again.
//
// Thread safety: none; it belongs to the ordered role.
class SelfCheck {
 public:
  struct Options {
    std::uint64_t every = 0;  // 0: no step
    // Called before and after each second run. May be empty.
    std::function<void(bool begins, const Ticket& ticket)> observe;
    // Called for each step whose runs differ. Empty: nobody wants to hear.
    std::function<void(const Ticket& ticket, const StepResult& result)>
        on_difference;
  };
  struct Counts {
    std::uint64_t checked = 0;
    std::uint64_t impure = 0;
  };

  explicit SelfCheck(Options options) : options_(std::move(options)) {}

  bool enabled() const { return options_.every > 0; }
  // Looks at the step if it is in the sample. REQUIRES: enabled(); it is the
  // slot's turn, and its result is current.
  void Check(Window* window, Slot* slot);
  const Counts& counts() const { return counts_; }

 private:
  const Options options_;
  Counts counts_;
};

}  // namespace reenact

#endif  // REENACT_COMMITTER_SELF_CHECK_H_
