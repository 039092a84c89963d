#include "reenact/kernel/sync_policy.h"

#include <charconv>

namespace reenact {

absl::StatusOr<SyncPolicy> SyncPolicy::Parse(std::string_view text) {
  if (text == "every-block") return SyncPolicy{Kind::kEveryBlock, 100};
  if (text == "interval") return SyncPolicy{Kind::kInterval, 100};
  if (text == "none") return SyncPolicy{Kind::kNone, 100};
  constexpr std::string_view kPrefix = "interval:";
  if (text.starts_with(kPrefix)) {
    const char* begin = text.data() + kPrefix.size();
    const char* end = text.data() + text.size();
    SyncPolicy policy{Kind::kInterval, 0};
    const auto [rest, error] = std::from_chars(begin, end, policy.interval_ms);
    if (error == std::errc() && rest == end && policy.interval_ms > 0 &&
        policy.interval_ms <= 3'600'000) {
      return policy;
    }
  }
  return absl::InvalidArgumentError(
      "sync policy \"" + std::string(text) +
      "\" is none of every-block, interval, interval:MILLISECONDS (1 to "
      "3600000) and none");
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
