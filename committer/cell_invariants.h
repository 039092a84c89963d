// The invariants that reducers declare, checked at commit.

#ifndef REENACT_COMMITTER_CELL_INVARIANTS_H_
#define REENACT_COMMITTER_CELL_INVARIANTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/reducer.h"

namespace reenact {

// What no commit may break, and the totals that are kept for it.
//
// Totals are worked out from the cells when a world is opened or its modules
// change, and follow each commit; they are not recorded, as they depend on
// nothing but the cells.
//
// Thread safety: none; whoever has the ordered role uses it.
class CellInvariants {
 public:
  // What a step is about to do to one cell.
  struct Change {
    ReducerId reducer;
    std::string_view key;
    std::optional<BytesView> before;
    std::optional<BytesView> after;
  };
  struct Broken {
    std::string name;
    OnBreak on_break = OnBreak::kFail;
  };
  // Visits every cell of a reducer.
  using Scan = std::function<absl::Status(
      ReducerId reducer, const std::function<absl::Status(
                             std::string_view key, BytesView state)>& visit)>;

  // Takes the rules of a reducer table over (null: no code under that number),
  // and works totals out. Errors: those of `scan`; OutOfRange: a total has more
  // than 64 bits.
  absl::Status Set(const std::vector<std::shared_ptr<const Reducer>>& reducers,
                   const Scan& scan);

  // Nothing is declared: the one branch that most worlds pay.
  bool none() const { return by_reducer_.empty(); }

  // The first rule that the changes of a step would break together; nullopt:
  // none. Cells in order of the step's changes, each cell's rules in order of
  // declaration, then aggregates by reducer. A predicate that throws is broken.
  std::optional<Broken> Check(const std::vector<Change>& changes);
  // The changes that Check() looked at last, and found nothing broken by, are
  // history.
  void Commit();

 private:
  struct Total {
    Aggregate rule;
    ReducerId reducer;
    std::int64_t value = 0;
    std::int64_t next = 0;  // with what is being checked
  };
  struct Rules {
    std::vector<Invariant> invariants;
    std::vector<std::size_t> totals;  // indices
  };

  const Rules* RulesOf(ReducerId reducer) const;
  static bool Holds(const Invariant& rule, const Change& change);
  static bool Measure(const Change& change, Total* total);

  std::vector<Rules> by_reducer_;  // empty if there are none at all
  std::vector<Total> totals_;
};

}  // namespace reenact

#endif  // REENACT_COMMITTER_CELL_INVARIANTS_H_
