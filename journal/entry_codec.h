// What the two halves of the codec of entries, entry_encode.cc and
// entry_decode.cc, share; for nobody else.

#ifndef REENACT_JOURNAL_ENTRY_CODEC_H_
#define REENACT_JOURNAL_ENTRY_CODEC_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string_view>
#include <variant>

#include "reenact/journal/entry.h"

namespace reenact::entry_codec {

// The kinds as they stand in the variant, with their names.
struct KindName {
  EntryKind kind;
  std::string_view name;
};
inline constexpr KindName kKinds[] = {
    {EntryKind::kGenesis, "Genesis"},
    {EntryKind::kRoundOpened, "RoundOpened"},
    {EntryKind::kInputAdmitted, "InputAdmitted"},
    {EntryKind::kStepScheduled, "StepScheduled"},
    {EntryKind::kStepCommitted, "StepCommitted"},
    {EntryKind::kStepFailed, "StepFailed"},
    {EntryKind::kSnapshotTaken, "SnapshotTaken"},
    {EntryKind::kModuleChanged, "ModuleChanged"},
    {EntryKind::kConfigChanged, "ConfigChanged"},
    {EntryKind::kSnapshotRequested, "SnapshotRequested"},
    {EntryKind::kEffectQueued, "EffectQueued"},
    {EntryKind::kReceiptAppended, "ReceiptAppended"},
    {EntryKind::kGrantChanged, "GrantChanged"},
    {EntryKind::kPolicyChanged, "PolicyChanged"},
    {EntryKind::kReceiptRefused, "ReceiptRefused"},
    {EntryKind::kEffectClosed, "EffectClosed"},
    {EntryKind::kEffectJudged, "EffectJudged"},
    {EntryKind::kEffectsCancelled, "EffectsCancelled"},
    {EntryKind::kRolledBack, "RolledBack"},
    {EntryKind::kFailureOrdered, "FailureOrdered"},
    {EntryKind::kReceiptShared, "ReceiptShared"},
};
static_assert(std::variant_size_v<Entry> == std::size(kKinds));

inline constexpr std::size_t kNumbers = 32;
// By number; empty: there is no such kind.
inline constexpr auto kNames = [] {
  std::array<std::string_view, kNumbers> names;
  for (const KindName& each : kKinds) {
    names[static_cast<std::size_t>(each.kind)] = each.name;
  }
  return names;
}();

inline bool IsKind(std::uint64_t number) {
  return number < kNumbers && !kNames[number].empty();
}

inline bool HasNumber(Update::Op op) {
  return op == Update::Op::kAdd || op == Update::Op::kMax ||
         op == Update::Op::kMin;
}

inline constexpr std::int64_t kLowest =
    std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kHighest =
    std::numeric_limits<std::int64_t>::max();

template <typename AnyUpdate>
bool HasBounds(const AnyUpdate& update) {
  return update.op == Update::Op::kAdd &&
         (update.low != kLowest || update.high != kHighest);
}

}  // namespace reenact::entry_codec

#endif  // REENACT_JOURNAL_ENTRY_CODEC_H_
