// spec/scheduling.md once more, written to be read and not to be fast: no
// shortcut that the document does not take, every list a plain one.

#ifndef REENACT_HARNESS_SEQUENCER_MODEL_H_
#define REENACT_HARNESS_SEQUENCER_MODEL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "reenact/sequencer/sequencer.h"

namespace reenact {

class SequencerModel {
 public:
  explicit SequencerModel(const Scheduling& rules) : rules_(rules) {}

  void SetScheduling(const Scheduling& rules) {
    rules_ = rules;
    for (std::size_t c = 0; c < kClasses; ++c) {
      class_deficit_[c] =
          std::min(class_deficit_[c], rules_.class_quantum[c] - 1);
    }
    for (auto& [name, entity] : entities_) {
      entity.deficit = std::min(entity.deficit, rules_.entity_quantum - 1);
    }
    ForgetSubmissions();
  }

  void Admit(Unit unit, const std::string& submission_id, EventId next) {
    if (!submission_id.empty()) {
      submissions_.emplace_back(submission_id, unit.cause.input);
      ForgetSubmissions();
    }
    Enqueue(std::move(unit), next);
  }

  void EnqueueRaised(Round round, const std::vector<Unit>& raised) {
    for (const Unit& unit : raised) {
      pending_.emplace_back(round.value + rules_.pipeline_depth, unit);
    }
  }

  // The earliest after `now`, if given.
  std::optional<LogicalTime> NextTimer(
      std::optional<LogicalTime> now = std::nullopt) const {
    std::optional<LogicalTime> first;
    const auto see = [&first, now](const Unit& unit) {
      if (unit.kind != UnitKind::kTimer || (now && unit.due <= *now)) return;
      if (!first.has_value() || unit.due < *first) first = unit.due;
    };
    for (const auto& [eligible, unit] : pending_) see(unit);
    for (const Unit& unit : timers_) see(unit);
    return first;
  }

  // Tries one number after the other.
  std::optional<Round> NextRound(LogicalTime now) const {
    std::uint64_t last_change = last_ + 1;
    for (const auto& [eligible, unit] : pending_) {
      last_change = std::max(last_change, eligible);
    }
    for (std::uint64_t round = last_ + 1; round <= last_change; ++round) {
      if (SomethingIsEligible(round, now)) return Round{round};
    }
    return std::nullopt;
  }

  bool WantsInput() const {
    std::uint64_t takeable = 0;
    std::uint64_t waiting = 0;
    for (const auto& [name, entity] : entities_) {
      const UnitKind kind = entity.units.front().unit.kind;
      if (kind != UnitKind::kEvent && kind != UnitKind::kControl) continue;
      waiting += entity.units.size();
      takeable += std::min<std::uint64_t>(entity.units.size(),
                                          rules_.entity_round_limit);
    }
    return takeable < rules_.round_limit && waiting < rules_.backlog_limit;
  }

  std::optional<InputId> FindSubmission(const std::string& id) const {
    std::optional<InputId> found;
    for (const auto& [known, input] : submissions_) {
      if (known == id) found = input;
    }
    return found;
  }

  std::vector<Unit> Compose(Round round, LogicalTime now, EventId first) {
    last_ = round.value;
    round_.clear();
    for (auto& [name, entity] : entities_) entity.served = 0;
    Open(now, first);
    ServeAged(first);
    ServeClasses();
    EndRound();
    return round_;
  }

  std::size_t Count(UnitKind kind) const {
    std::size_t count = 0;
    for (const auto& [name, entity] : entities_) {
      for (const Waiting& waiting : entity.units) {
        count += waiting.unit.kind == kind;
      }
    }
    for (const auto& [eligible, unit] : pending_) count += unit.kind == kind;
    for (const Unit& unit : timers_) count += unit.kind == kind;
    return count;
  }

 private:
  static constexpr std::size_t kClasses = 2 + kPriorities;

  // Class, reducer, key.
  using Name = std::tuple<std::size_t, ReducerId, std::string>;
  struct Waiting {
    Unit unit;
    std::uint64_t stamp;
    std::uint64_t number;  // in order of admission
  };
  struct Entity {
    std::deque<Waiting> units;
    std::uint64_t deficit = 0;
    std::uint64_t served = 0;  // in this round
  };

  static Name NameOf(const Unit& unit) {
    switch (unit.kind) {
      case UnitKind::kControl:
        return {0, kNoReducer, ""};
      case UnitKind::kTimer:
      case UnitKind::kReceipt:
        return {0, unit.reducer, unit.key};
      case UnitKind::kDerived:
        return {1, unit.reducer, unit.key};
      case UnitKind::kEvent:
        break;
    }
    return {2U + unit.priority, unit.reducer, unit.key};
  }

  void Enqueue(Unit unit, EventId stamp) {
    const Name name = NameOf(unit);
    if (entities_.count(name) == 0) rings_[std::get<0>(name)].push_back(name);
    entities_[name].units.push_back(
        {std::move(unit), stamp.value, admitted_++});
  }

  bool SomethingIsEligible(std::uint64_t round, LogicalTime now) const {
    if (!entities_.empty()) return true;
    for (const Unit& unit : timers_) {
      if (unit.due <= now) return true;
    }
    for (const auto& [eligible, unit] : pending_) {
      const bool due = unit.kind == UnitKind::kDerived || unit.due <= now;
      if (eligible <= round && due) return true;
    }
    return false;
  }

  // Rule 1: what became eligible.
  void Open(LogicalTime now, EventId first) {
    while (!pending_.empty() && pending_.front().first <= last_) {
      const Unit unit = pending_.front().second;
      pending_.pop_front();
      if (unit.kind == UnitKind::kDerived) {
        Enqueue(unit, first);
      } else {
        timers_.push_back(unit);
      }
    }
    std::stable_sort(timers_.begin(), timers_.end(),
                     [](const Unit& a, const Unit& b) {
                       return std::tuple(a.due, a.cause.parent, a.cause.index) <
                              std::tuple(b.due, b.cause.parent, b.cause.index);
                     });
    while (!timers_.empty() && timers_.front().due <= now) {
      Enqueue(timers_.front(), first);
      timers_.erase(timers_.begin());
    }
  }

  // Rule 2: the aged.
  void ServeAged(EventId first) {
    std::map<std::uint64_t, std::pair<Name, std::uint64_t>> by_admission;
    for (const auto& [name, entity] : entities_) {
      for (const Waiting& waiting : entity.units) {
        by_admission[waiting.number] = {name, waiting.stamp};
      }
    }
    std::uint64_t looked_at = 0;
    for (const auto& [number, who] : by_admission) {
      if (looked_at++ == rules_.round_limit) return;
      if (round_.size() == (rules_.round_limit + 1) / 2) return;
      const auto& [name, stamp] = who;
      if (stamp + rules_.aging_tickets > first.value) return;
      if (entities_[name].served == rules_.entity_round_limit) continue;
      Serve(name);
    }
  }

  // Rule 3: deficit round robin over classes.
  void ServeClasses() {
    std::size_t nothing = 0;
    while (!Full() && nothing < kClasses) {
      auto& ring = rings_[current_];
      if (ring.empty()) {
        ++nothing;
      } else {
        nothing = 0;
        if (class_deficit_[current_] == 0) {
          class_deficit_[current_] = rules_.class_quantum[current_];
        }
        ServeClass(current_);
        const bool visit_goes_on =
            !ring.empty() && class_deficit_[current_] > 0;
        if (visit_goes_on) return;  // the round is full
      }
      class_deficit_[current_] = 0;
      current_ = (current_ + 1) % kClasses;
    }
  }

  // Rule 4: and over the entities of a class.
  void ServeClass(std::size_t c) {
    auto& ring = rings_[c];
    while (!Full() && class_deficit_[c] > 0 && !ring.empty()) {
      const Name name = ring.front();
      Entity& entity = entities_[name];
      if (entity.served == rules_.entity_round_limit) {
        entity.deficit = 0;
        ring.pop_front();
        aside_[c].push_back(name);
        continue;
      }
      if (entity.deficit == 0) entity.deficit = rules_.entity_quantum;
      --entity.deficit;
      --class_deficit_[c];
      Serve(name);
      if (entities_.count(name) == 1 && entities_[name].deficit == 0) {
        ring.pop_front();
        ring.push_back(name);
      }
    }
  }

  // Gives the next ticket to the first unit of an entity.
  void Serve(const Name& name) {
    Entity& entity = entities_[name];
    round_.push_back(entity.units.front().unit);
    entity.units.pop_front();
    ++entity.served;
    if (!entity.units.empty()) return;
    auto& ring = rings_[std::get<0>(name)];
    ring.erase(std::find(ring.begin(), ring.end(), name));
    entities_.erase(name);
  }

  // Rule 5: what the next round finds.
  void EndRound() {
    for (std::size_t c = 0; c < kClasses; ++c) {
      for (const Name& name : aside_[c]) rings_[c].push_back(name);
      aside_[c].clear();
      if (rings_[c].empty()) class_deficit_[c] = 0;
    }
    if (entities_.empty()) current_ = 0;
  }

  void ForgetSubmissions() {
    while (submissions_.size() > rules_.dedupe_horizon) {
      submissions_.pop_front();
    }
  }

  bool Full() const { return round_.size() == rules_.round_limit; }

  Scheduling rules_;
  std::map<Name, Entity> entities_;  // those that have units
  std::array<std::deque<Name>, kClasses> rings_;
  std::array<std::deque<Name>, kClasses> aside_;
  std::array<std::uint64_t, kClasses> class_deficit_ = {};
  std::size_t current_ = 0;
  std::uint64_t admitted_ = 0;
  std::deque<std::pair<std::uint64_t, Unit>> pending_;
  std::vector<Unit> timers_;
  std::deque<std::pair<std::string, InputId>> submissions_;
  std::uint64_t last_ = 0;
  std::vector<Unit> round_;
};

}  // namespace reenact

#endif  // REENACT_HARNESS_SEQUENCER_MODEL_H_
