// Submissions that wait for their moments.

#ifndef REENACT_WORLD_SUBMISSIONS_H_
#define REENACT_WORLD_SUBMISSIONS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "reenact/base/hash_table.h"
#include "reenact/base/status.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "reenact/world/submission.h"

namespace reenact {

using SubmissionState = std::shared_ptr<Submission::State>;

// The submissions of admitted inputs that are not history yet, by input.
//
// Thread safety: New() and watermark() from any thread; the rest is the ordered
// role's. The order in which they are looked at is nobody's affair: nothing of
// it is recorded.
class Submissions {
 public:
  // One that was not admitted yet.
  SubmissionState New() const {
    return std::make_shared<Submission::State>(watermark_);
  }
  DurabilityWatermark& watermark() { return *watermark_; }

  void Add(InputId input, SubmissionState state) {
    live_.emplace(input.value, std::move(state));
  }
  void Ticketed(InputId input, EventId event_id) {
    if (live_.empty()) return;
    const auto it = live_.find(input.value);
    if (it != live_.end()) it->second->Ticketed(event_id);
  }
  void Committed(InputId input, std::optional<FailureCode> failure) {
    if (live_.empty()) return;
    const auto it = live_.find(input.value);
    if (it == live_.end()) return;
    it->second->Committed(failure, it->second);
    live_.erase(it);
  }
  // All but that of `input` will never have a ticket.
  void Abandon(InputId input, const absl::Status& why) {
    for (auto it = live_.begin(); it != live_.end();) {
      if (it->first == input.value) {
        ++it;
        continue;
      }
      it->second->End(why);
      live_.erase(it++);
    }
  }
  // Nothing will become of any, nor be durable, from now on.
  void End(const absl::Status& why) {
    for (auto& [input, state] : live_) state->End(why);
    live_.clear();
    watermark_->End(why);
  }

 private:
  const std::shared_ptr<DurabilityWatermark> watermark_ =
      std::make_shared<DurabilityWatermark>();
  HashMap<std::uint64_t, SubmissionState> live_;  // by InputId
};

}  // namespace reenact

#endif  // REENACT_WORLD_SUBMISSIONS_H_
