#include "reenact/replay/report.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/outcome.h"

namespace reenact {
namespace {

std::string DescribeOutcome(const Entry& entry) {
  if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
    return "failed: " + FailureName(failed->code);
  }
  return std::string(EntryKindName(KindOf(entry)));
}

// Finds what differs between two entries and says it in the terms of a user.
class EntryComparison {
 public:
  EntryComparison(const std::vector<std::string>& reducers, Divergence* out)
      : reducers_(reducers), out_(out) {}

  void Compare(BytesView recorded, BytesView recomputed) {
    const absl::StatusOr<Entry> a = DecodeEntry(recorded);
    const absl::StatusOr<Entry> b = DecodeEntry(recomputed);
    out_->recorded = recorded.empty() ? "nothing" : cbor::Diagnose(recorded);
    out_->recomputed =
        recomputed.empty() ? "nothing" : cbor::Diagnose(recomputed);
    out_->field = "entry";
    // What was recomputed is in its place; what is recorded need not be.
    if (b.ok()) Place(*b);
    if (a.ok() && out_->event_id.value == 0) Place(*a);
    if (!a.ok() || !b.ok()) return;
    if (KindOf(*a) != KindOf(*b)) {
      out_->field = "outcome";
      out_->recorded = DescribeOutcome(*a);
      out_->recomputed = DescribeOutcome(*b);
      return;
    }
    out_->field = EntryKindName(KindOf(*a));
    const auto* x = std::get_if<entry::StepCommitted>(&*a);
    const auto* y = std::get_if<entry::StepCommitted>(&*b);
    if (x != nullptr && SameTicket(*x, *y)) CompareSteps(*x, *y);
    const auto* p = std::get_if<entry::StepScheduled>(&*a);
    if (p != nullptr) ComparePlaces(*p, std::get<entry::StepScheduled>(*b));
    const auto* r = std::get_if<entry::RoundOpened>(&*a);
    if (r != nullptr) CompareRounds(*r, std::get<entry::RoundOpened>(*b));
    const auto* f = std::get_if<entry::StepFailed>(&*a);
    if (f != nullptr && SameTicket(*f, std::get<entry::StepFailed>(*b))) {
      out_->field = "failure code";
      out_->recorded = DescribeOutcome(*a);
      out_->recomputed = DescribeOutcome(*b);
    }
  }

 private:
  void Place(const Entry& entry) {
    std::visit(
        [this](const auto& e) {
          if constexpr (requires { e.lane_id; }) out_->event_id = e.event_id;
        },
        entry);
  }

  template <typename Step>
  static bool SameTicket(const Step& a, const Step& b) {
    return a.event_id == b.event_id && a.lane_id == b.lane_id;
  }

  void Say(const std::string& field, const std::string& recorded,
           const std::string& recomputed) {
    out_->field = field;
    out_->recorded = recorded;
    out_->recomputed = recomputed;
  }

  static std::string CauseOf(const Cause& cause) {
    if (cause.is_input()) return "input " + std::to_string(cause.input.value);
    return "event " + std::to_string(cause.index) + " of ticket " +
           std::to_string(cause.parent.value);
  }

  // The whole entries are shown unless one thing alone differs.
  void ComparePlaces(const entry::StepScheduled& a,
                     const entry::StepScheduled& b) {
    if (!SameTicket(a, b)) return;
    if (a.subject != b.subject && a.subject && b.subject) {
      Say("the cell", NameOf(a.subject), NameOf(b.subject));
    } else if (a.cause != b.cause) {
      Say("cause", CauseOf(a.cause), CauseOf(b.cause));
    } else if (a.kind != b.kind) {
      Say("kind of unit", std::string(UnitKindName(a.kind)),
          std::string(UnitKindName(b.kind)));
    }
  }

  void CompareRounds(const entry::RoundOpened& a, const entry::RoundOpened& b) {
    if (a.round != b.round) {
      Say("number of the round", std::to_string(a.round.value),
          std::to_string(b.round.value));
    } else if (a.time != b.time) {
      Say("logical time of the round", std::to_string(a.time.value),
          std::to_string(b.time.value));
    } else if (a.count != b.count) {
      Say("tickets in the round", std::to_string(a.count),
          std::to_string(b.count));
    } else if (a.source != b.source) {
      Say("how far the round takes in its source", NameOf(a.source),
          NameOf(b.source));
    }
  }

  static std::string NameOf(const std::optional<SourceRead>& read) {
    if (!read) return "(no source)";
    return read->name + " to " + std::to_string(read->mark.position) + " (" +
           read->mark.digest.ToHex() + ")";
  }

  std::string NameOf(const std::optional<CellRef>& cell) const {
    if (!cell) return out_->reducer + "/" + out_->key;
    const std::string reducer = cell->reducer < reducers_.size()
                                    ? reducers_[cell->reducer]
                                    : "?" + std::to_string(cell->reducer);
    return reducer + "/" + cell->key;
  }

  std::string Describe(const Diff& diff) const {
    switch (diff.op) {
      case Diff::Op::kPut:
        return cbor::Diagnose(diff.state);
      case Diff::Op::kDelete:
        return "deleted";
      case Diff::Op::kUpdate:
        break;
    }
    Bytes bytes;
    EncodeUpdate(true, 0, "", diff.update, &bytes);
    return "update " + cbor::Diagnose(bytes);
  }

  void CompareSteps(const entry::StepCommitted& a,
                    const entry::StepCommitted& b) {
    const std::size_t n = std::max(a.diffs.size(), b.diffs.size());
    for (std::size_t i = 0; i < n; ++i) {
      const Diff* x = i < a.diffs.size() ? &a.diffs[i] : nullptr;
      const Diff* y = i < b.diffs.size() ? &b.diffs[i] : nullptr;
      if (x != nullptr && y != nullptr && *x == *y) continue;
      const bool same_cell = x != nullptr && y != nullptr && x->cell == y->cell;
      out_->field = "state of " + NameOf((x != nullptr ? x : y)->cell);
      out_->recorded = x != nullptr ? Describe(*x) : "not changed";
      out_->recomputed =
          y == nullptr ? "not changed"
          : same_cell  ? Describe(*y)
                       : "change " + NameOf(y->cell) + " to " + Describe(*y);
      return;
    }
    if (a.events != b.events) {
      CompareLists("raised event", a.events, b.events, EncodeRaised);
    } else {
      CompareLists("effect intent", a.effects, b.effects, EncodeEffect);
    }
  }

  template <typename T, typename EncodeFn>
  void CompareLists(const std::string& what, const std::vector<T>& a,
                    const std::vector<T>& b, EncodeFn encode) {
    const auto show = [&](const std::vector<T>& list, std::size_t i) {
      if (i >= list.size()) return std::string("none");
      Bytes bytes;
      encode(list[i], &bytes);
      return cbor::Diagnose(bytes);
    };
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (i < a.size() && i < b.size() && a[i] == b[i]) continue;
      out_->field = what + " " + std::to_string(i);
      out_->recorded = show(a, i);
      out_->recomputed = show(b, i);
      return;
    }
  }

  const std::vector<std::string>& reducers_;
  Divergence* const out_;
};

}  // namespace

void DescribeDifference(const std::vector<std::string>& reducers,
                        BytesView recorded, BytesView recomputed,
                        Divergence* divergence) {
  EntryComparison(reducers, divergence).Compare(recorded, recomputed);
}

std::string DescribeCause(const Cause& cause) {
  if (cause.is_input()) return "input " + std::to_string(cause.input.value);
  return "event " + std::to_string(cause.index) + " that ticket " +
         std::to_string(cause.parent.value) + " raised";
}

bool FillFromSchedule(const std::vector<std::string>& reducers,
                      const std::vector<Bytes>& entries,
                      Divergence* divergence) {
  for (const Bytes& item : entries) {
    const absl::StatusOr<Entry> entry = DecodeEntry(item);
    if (!entry.ok()) continue;
    const auto* step = std::get_if<entry::StepScheduled>(&*entry);
    if (step == nullptr || step->event_id != divergence->event_id) continue;
    if (step->subject && step->subject->reducer < reducers.size()) {
      divergence->reducer = reducers[step->subject->reducer];
      divergence->key = step->subject->key;
    }
    divergence->cause = step->cause;
    divergence->cause_text = DescribeCause(step->cause);
    return true;
  }
  return false;
}

}  // namespace reenact
