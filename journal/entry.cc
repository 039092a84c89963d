#include "reenact/journal/entry.h"

#include <cstdint>
#include <string_view>

#include "reenact/journal/entry_codec.h"

namespace reenact {

std::string_view EntryKindName(EntryKind kind) {
  const auto number = static_cast<std::uint64_t>(kind);
  return entry_codec::IsKind(number) ? entry_codec::kNames[number] : "unknown";
}

std::string_view EffectVerdictName(EffectVerdict verdict) {
  switch (verdict) {
    case EffectVerdict::kOpen:
      return "open";
    case EffectVerdict::kHeld:
      return "held";
    case EffectVerdict::kDenied:
      return "denied";
    case EffectVerdict::kAnswered:
      return "answered";
    case EffectVerdict::kJoined:
      return "joined";
  }
  return "unknown";
}

EntryKind KindOf(const Entry& entry) {
  return entry_codec::kKinds[entry.index()].kind;
}

}  // namespace reenact
