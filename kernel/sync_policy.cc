#include "reenact/kernel/sync_policy.h"

#include "reenact/kernel/duration.h"

namespace reenact {

absl::StatusOr<SyncPolicy> SyncPolicy::Parse(std::string_view text) {
  if (text == "every-block") return SyncPolicy{Kind::kEveryBlock, 100};
  if (text == "interval") return SyncPolicy{Kind::kInterval, 100};
  if (text == "none") return SyncPolicy{Kind::kNone, 100};
  constexpr std::string_view kPrefix = "interval:";
  if (text.starts_with(kPrefix)) {
    const auto interval =
        ParseDuration(text.substr(kPrefix.size()), kMillisecond);
    if (interval.ok() && *interval >= kMillisecond &&
        *interval <= 3600 * kSecond && *interval % kMillisecond == 0) {
      return SyncPolicy{Kind::kInterval,
                        static_cast<std::uint64_t>(*interval / kMillisecond)};
    }
  }
  return absl::InvalidArgumentError("sync policy \"" + std::string(text) +
                                    "\" is none of every-block, interval, "
                                    "interval:DURATION (1ms to 1h, whole "
                                    "milliseconds) and "
                                    "none");
}

std::string SyncPolicy::ToString() const {
  switch (kind) {
    case Kind::kEveryBlock:
      return "every-block";
    case Kind::kInterval:
      return "interval:" + std::to_string(interval_ms);
    case Kind::kNone:
      return "none";
  }
  return "none";
}

}  // namespace reenact
