#include "reenact/committer/cell_invariants.h"

#include <exception>

namespace reenact {
namespace {

// False: it throws, or the sum leaves 64 bits.
bool AddMeasured(const Aggregate& rule, std::string_view key, BytesView state,
                 bool add, std::int64_t* sum) {
  try {
    const std::int64_t value = rule.measure(key, state);
    return add ? !__builtin_add_overflow(*sum, value, sum)
               : !__builtin_sub_overflow(*sum, value, sum);
  } catch (const std::exception&) {
    return false;
  } catch (...) {
    return false;
  }
}

}  // namespace

absl::Status CellInvariants::Set(
    const std::vector<std::shared_ptr<const Reducer>>& reducers,
    const Scan& scan) {
  by_reducer_.clear();
  totals_.clear();
  std::vector<Rules> all(reducers.size());
  bool any = false;
  for (std::size_t id = 0; id < reducers.size(); ++id) {
    if (reducers[id] == nullptr) continue;
    all[id].invariants = reducers[id]->invariants();
    for (Aggregate& rule : reducers[id]->aggregates()) {
      all[id].totals.push_back(totals_.size());
      totals_.push_back({std::move(rule), static_cast<ReducerId>(id)});
    }
    any = any || !all[id].invariants.empty() || !all[id].totals.empty();
  }
  if (any) by_reducer_ = std::move(all);
  for (Total& total : totals_) {
    REENACT_RETURN_IF_ERROR(
        scan(total.reducer, [&total](std::string_view key, BytesView state) {
          if (AddMeasured(total.rule, key, state, true, &total.value)) {
            return absl::OkStatus();
          }
          return absl::OutOfRangeError(
              "aggregate \"" + total.rule.name +
              "\": its measure throws, or its total has more than 64 bits");
        }));
  }
  return absl::OkStatus();
}

const CellInvariants::Rules* CellInvariants::RulesOf(ReducerId reducer) const {
  return reducer < by_reducer_.size() ? &by_reducer_[reducer] : nullptr;
}

bool CellInvariants::Holds(const Invariant& rule, const Change& change) {
  try {
    return rule.holds(change.key, change.after);
  } catch (...) {
    return false;
  }
}

bool CellInvariants::Measure(const Change& change, Total* total) {
  if (change.before && !AddMeasured(total->rule, change.key, *change.before,
                                    false, &total->next)) {
    return false;
  }
  return !change.after || AddMeasured(total->rule, change.key, *change.after,
                                      true, &total->next);
}

std::optional<CellInvariants::Broken> CellInvariants::Check(
    const std::vector<Change>& changes) {
  for (Total& total : totals_) total.next = total.value;
  for (const Change& change : changes) {
    const Rules* const rules = RulesOf(change.reducer);
    if (rules == nullptr) continue;
    for (const Invariant& rule : rules->invariants) {
      if (!Holds(rule, change)) return Broken{rule.name, rule.on_break};
    }
    for (const std::size_t index : rules->totals) {
      Total& total = totals_[index];
      if (!Measure(change, &total)) {
        return Broken{total.rule.name, total.rule.on_break};
      }
    }
  }
  for (const Total& total : totals_) {
    if (total.next < total.rule.low || total.next > total.rule.high) {
      if (total.next == total.value) continue;  // it was so before
      return Broken{total.rule.name, total.rule.on_break};
    }
  }
  return std::nullopt;
}

void CellInvariants::Commit() {
  for (Total& total : totals_) total.value = total.next;
}

}  // namespace reenact
