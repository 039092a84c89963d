#include "reenact/harness/order_check.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "reenact/harness/journal_entries.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/config.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact::harness {

namespace {

constexpr const char* kWaiting = "nothing waits beyond its bound";
constexpr const char* kEffects = "effects go their way in order";

// Whether the gate itself ends an effect, so that nobody else will.
bool EndsAtOnce(EffectVerdict verdict) {
  return verdict == EffectVerdict::kDenied ||
         verdict == EffectVerdict::kAnswered;
}

// Feeds a checker entry by entry, with BlockEnds() behind each block, until it
// has a violation or has seen a rollback.
template <typename Checker>
void FeedBlocks(const std::vector<Bytes>& blocks, Checker* checker) {
  const auto see = [checker](const Entry& entry) {
    if (std::holds_alternative<entry::RolledBack>(entry)) return false;
    std::visit([checker](const auto& one) { checker->See(one); }, entry);
    return !checker->violation().has_value();
  };
  // What cannot be read CheckReplay() says.
  (void)VisitEntries(blocks, see, [checker] { checker->BlockEnds(); });
}

// Counts rounds in which somebody waited: those that gave a ticket to anything
// but a command. (A round that gives none has nothing in its queues.)
class WaitingChecker {
 public:
  std::optional<Violation> violation() const { return violation_; }

  template <typename Other>
  void See(const Other&) {}
  void See(const entry::Genesis& genesis) {
    rules_ = genesis.config.scheduling;
  }
  void See(const entry::ConfigChanged& change) {
    rules_ = change.scheduling;
    for (auto& [input, waiting] : inputs_) waiting.deadline = kNever;
  }
  void See(const entry::InputAdmitted& input) {
    const Cell cell{input.reducer, input.key};
    inputs_[input.input.value] =
        Waiting{cell, rounds_ + RoundsAtMost(rules_, own_[cell]++ + others_,
                                             inputs_.size() + others_)};
  }
  void See(const entry::StepScheduled& step);
  void See(const entry::StepCommitted& step) { others_ += step.events.size(); }
  void See(const entry::EffectQueued& effect) {
    if (EndsAtOnce(effect.verdict)) ++others_;
  }
  void See(const entry::ReceiptAppended&) { ++others_; }
  void See(const entry::ReceiptShared&) { ++others_; }
  void See(const entry::EffectClosed&) { ++others_; }

  void BlockEnds() {
    if (std::exchange(sent_, false)) ++rounds_;
  }
  void JournalEnds() {
    for (const auto& [input, waiting] : inputs_) Judge(input, waiting);
  }

 private:
  using Cell = std::pair<std::uint64_t, std::string>;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  struct Waiting {
    Cell cell;
    std::uint64_t deadline = 0;  // it has its ticket before so many rounds
  };

  void Judge(std::uint64_t input, const Waiting& waiting) {
    if (rounds_ < waiting.deadline) return;
    violation_ = Violation{
        kWaiting,
        absl::StrCat("input ", input, " of cell ", waiting.cell.second,
                     " had to have its ticket by round ", waiting.deadline,
                     " of those with any, and ", rounds_, " have passed\n")};
  }

  Scheduling rules_;
  std::uint64_t rounds_ = 0;
  bool sent_ = false;
  std::map<std::uint64_t, Waiting> inputs_;  // by input id
  std::map<Cell, std::uint64_t> own_;        // how many of them
  std::uint64_t others_ = 0;                 // what waits, or will, besides
  std::optional<Violation> violation_;
};

void WaitingChecker::See(const entry::StepScheduled& step) {
  if (step.kind == UnitKind::kControl) return;
  sent_ = true;
  if (step.kind != UnitKind::kEvent) {
    if (others_ > 0) --others_;
    return;
  }
  const auto it = inputs_.find(step.cause.input.value);
  if (it == inputs_.end()) return;
  Judge(it->first, it->second);
  --own_[it->second.cell];
  inputs_.erase(it);
}

class EffectChecker {
 public:
  std::optional<Violation> violation() const { return violation_; }

  template <typename Other>
  void See(const Other&) {}
  void See(const entry::StepScheduled& step) {
    StepEnds();
    if (step.kind == UnitKind::kReceipt) ++answered_;
    if (answered_ > ends_) {
      Violate(absl::StrCat("ticket ", step.event_id.value,
                           " answers, and nothing has ended\n"));
    }
  }
  void See(const entry::StepCommitted& step) {
    step_ = step.event_id;
    intents_ = step.effects.size();
    judged_ = 0;
  }
  void See(const entry::StepFailed& step) {
    step_ = step.event_id;
    intents_ = judged_ = 0;
  }
  void See(const entry::EffectQueued& effect) {
    if (effect.event_id != step_ || effect.index != judged_) {
      Violate(absl::StrCat("intent ", effect.index, " of ticket ",
                           effect.event_id.value,
                           " is judged out of its turn\n"));
    }
    ++judged_;
    const bool fresh =
        seen_.try_emplace(effect.intent_hash, effect.verdict).second;
    if (!fresh) Violate("an intent is judged twice\n");
    if (EndsAtOnce(effect.verdict)) {
      ended_.insert(effect.intent_hash);
      ++ends_;
    }
  }
  void See(const entry::ReceiptAppended& receipt) {
    End(receipt.receipt.intent_hash);
  }
  void See(const entry::ReceiptShared& shared) { End(shared.intent_hash); }
  void See(const entry::EffectClosed& closed) { End(closed.intent_hash); }
  void BlockEnds() { StepEnds(); }

  void Told(const std::vector<ToldEffect>& life);

 private:
  void StepEnds() {
    if (judged_ != intents_) {
      Violate(absl::StrCat("ticket ", step_.value, " has ", intents_,
                           " intents, and ", judged_, " are judged\n"));
    }
    intents_ = judged_ = 0;
  }
  void End(const Digest& intent_hash) {
    if (seen_.count(intent_hash) == 0) Violate("what ends was never begun\n");
    if (!ended_.insert(intent_hash).second) {
      Violate("an effect ends twice\n");
    }
    ++ends_;
  }
  void Violate(std::string detail) {
    if (!violation_) violation_ = Violation{kEffects, std::move(detail)};
  }

  EventId step_;
  std::uint64_t intents_ = 0, judged_ = 0;  // of that step
  std::uint64_t ends_ = 0, answered_ = 0;
  std::map<Digest, EffectVerdict> seen_;
  std::set<Digest> ended_;
  std::optional<Violation> violation_;
};

void EffectChecker::Told(const std::vector<ToldEffect>& life) {
  std::pair<std::uint64_t, std::uint32_t> last{0, 0};
  for (const ToldEffect& effect : life) {
    const auto it = seen_.find(effect.intent_hash);
    if (it == seen_.end()) continue;  // behind a rollback
    // They are told of later, if at all.
    if (it->second == EffectVerdict::kHeld ||
        it->second == EffectVerdict::kJoined) {
      continue;
    }
    if (EndsAtOnce(it->second)) {
      Violate("executors were told of an effect that was denied or answered\n");
    }
    const std::pair place{effect.event_id.value, effect.index};
    if (place < last) {
      Violate(absl::StrCat("executors were told of the effect of ticket ",
                           place.first, " after that of ticket ", last.first,
                           "\n"));
    }
    last = place;
  }
}

}  // namespace

std::optional<Violation> CheckWaiting(const std::vector<Bytes>& blocks) {
  WaitingChecker checker;
  FeedBlocks(blocks, &checker);
  if (!checker.violation()) checker.JournalEnds();
  return checker.violation();
}

std::optional<Violation> CheckEffects(
    const std::vector<Bytes>& blocks,
    const std::vector<std::vector<ToldEffect>>& told) {
  EffectChecker checker;
  FeedBlocks(blocks, &checker);
  for (const auto& life : told) checker.Told(life);
  return checker.violation();
}

}  // namespace reenact::harness
