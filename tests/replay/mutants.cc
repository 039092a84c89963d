#include "tests/replay/mutants.h"

#include <functional>
#include <optional>
#include <utility>
#include <variant>

#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

// Another canonical item than `item`, of the same type where that is easy.
Bytes Other(const Bytes& item, std::int64_t by) {
  const auto number = cbor::DecodeInteger(BytesView(item));
  if (number.ok()) return cbor::EncodeInteger(*number + by);
  return Bytes(1, static_cast<char>(0x81)) + item;  // [item]
}

class Mutator {
 public:
  explicit Mutator(const History& history) : history_(history) {}

  std::vector<Mutant> All() {
    for (block_ = 1; block_ < history_.size(); ++block_) {
      for (index_ = 0; index_ < Original().size(); ++index_) MutateEntry();
      MutateBlock();
    }
    return std::move(mutants_);
  }

 private:
  const std::vector<Bytes>& Original() const {
    return history_[block_].entries;
  }

  // A mutant whose block is what `change` makes of it.
  void Add(const std::string& what, EventId event_id,
           const std::function<void(std::vector<Bytes>*)>& change) {
    Mutant mutant{"block " + std::to_string(block_) + ", entry " +
                      std::to_string(index_) + ": " + what,
                  event_id, history_[block_].header.round, history_};
    change(&mutant.history[block_].entries);
    if (mutant.history[block_].entries != Original()) {
      mutants_.push_back(std::move(mutant));
    }
  }

  void Replace(const std::string& what, EventId event_id, const Entry& entry) {
    Add(what, event_id, [&](std::vector<Bytes>* entries) {
      (*entries)[index_] = BytesOf(entry);
    });
  }

  void Drop(EventId event_id) {
    Add("it is gone", event_id, [&](std::vector<Bytes>* entries) {
      entries->erase(entries->begin() + static_cast<std::ptrdiff_t>(index_));
    });
  }

  void MutateEntry() {
    const Entry entry = EntryOf(Original()[index_]);
    std::visit([this](const auto& e) { Mutate(e); }, entry);
  }

  // Changes a copy of `entry` and adds it.
  template <typename E, typename ChangeFn>
  void With(const std::string& what, const E& entry, ChangeFn change) {
    E copy = entry;
    change(&copy);
    EventId event_id;
    if constexpr (requires { entry.lane_id; }) event_id = entry.event_id;
    Replace(what, event_id, copy);
  }

  void Mutate(const entry::Genesis&) {}

  void Mutate(const entry::RoundOpened& entry) {
    With("a round of another time", entry, [](auto* e) { ++e->time.value; });
    With("a round with one ticket more", entry, [](auto* e) { ++e->count; });
    With("a round of another number", entry, [](auto* e) { ++e->round.value; });
    With("a round from another ticket on", entry,
         [](auto* e) { ++e->first.value; });
  }

  // Inputs are believed; what contradicts them is not.
  void Mutate(const entry::InputAdmitted& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::ModuleChanged& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::ConfigChanged& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::SnapshotRequested& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::GrantChanged& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::PolicyChanged& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::EffectJudged& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
    With("the other word", entry, [](auto* e) { e->approved = !e->approved; });
  }
  void Mutate(const entry::EffectsCancelled& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::RolledBack& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
    With("back to another ticket", entry, [](auto* e) { ++e->to.value; });
    With("back to another round", entry, [](auto* e) { ++e->round.value; });
  }
  void Mutate(const entry::FailureOrdered& entry) {
    With("another step fails", entry, [](auto* e) { ++e->event_id.value; });
  }
  void Mutate(const entry::ReceiptRefused& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
  }
  void Mutate(const entry::ReceiptAppended& entry) {
    With("an input of another number", entry,
         [](auto* e) { ++e->input.value; });
    With("a receipt for another effect", entry,
         [](auto* e) { e->receipt.intent_hash.bytes[0] ^= 1; });
  }
  void Mutate(const entry::EffectQueued& entry) {
    With("another intent", entry,
         [](auto* e) { e->intent_hash.bytes[0] ^= 1; });
    With("another key", entry,
         [](auto* e) { e->idempotency_key.bytes[0] ^= 1; });
    With("another verdict", entry, [](auto* e) {
      e->verdict = e->verdict == EffectVerdict::kHeld ? EffectVerdict::kOpen
                                                      : EffectVerdict::kHeld;
    });
    With("another index", entry, [](auto* e) { ++e->index; });
    With("another reason", entry, [](auto* e) { e->reason += "x"; });
    With("another ticket's effect", entry,
         [](auto* e) { ++e->event_id.value; });
  }
  void Mutate(const entry::ReceiptShared& entry) {
    With("another effect's end", entry,
         [](auto* e) { e->intent_hash.bytes[0] ^= 1; });
    With("another receipt", entry,
         [](auto* e) { e->receipt.intent_hash.bytes[0] ^= 1; });
  }
  void Mutate(const entry::EffectClosed& entry) {
    With("another effect's end", entry,
         [](auto* e) { e->intent_hash.bytes[0] ^= 1; });
    With("another end", entry, [](auto* e) {
      e->status = e->status == ReceiptStatus::kOk ? ReceiptStatus::kError
                                                  : ReceiptStatus::kOk;
    });
  }

  void Mutate(const entry::StepScheduled& entry) {
    With("another kind of unit", entry, [](auto* e) {
      e->kind =
          e->kind == UnitKind::kEvent ? UnitKind::kDerived : UnitKind::kEvent;
    });
    if (entry.subject) {
      With("another key", entry, [](auto* e) { e->subject->key += "x"; });
      With("another reducer", entry, [](auto* e) { ++e->subject->reducer; });
    }
    With("another cause", entry, [](auto* e) {
      (e->cause.is_input() ? e->cause.input.value : e->cause.parent.value) += 1;
    });
    if (!entry.cause.is_input()) {
      With("another place among what the cause raised", entry,
           [](auto* e) { ++e->cause.index; });
    }
    Drop(entry.event_id);
    SwapSubjects(entry);
  }

  // Two tickets of one round change places.
  void SwapSubjects(const entry::StepScheduled& entry) {
    for (std::size_t i = index_ + 1; i < Original().size(); ++i) {
      Entry other = EntryOf(Original()[i]);
      auto* later = std::get_if<entry::StepScheduled>(&other);
      if (later == nullptr) continue;
      entry::StepScheduled first = *later, second = entry;
      std::swap(first.event_id, second.event_id);
      Add("two tickets in the other order", entry.event_id,
          [&](std::vector<Bytes>* entries) {
            (*entries)[index_] = BytesOf(first);
            (*entries)[i] = BytesOf(second);
          });
      return;
    }
  }

  void Mutate(const entry::StepCommitted& entry) {
    for (std::size_t i = 0; i < entry.diffs.size(); ++i) MutateDiff(entry, i);
    With("a change that was not", entry, [](auto* e) {
      e->diffs.push_back(
          {Diff::Op::kPut, CellRef{0, "invented"}, Bytes("\x01"), {}});
    });
    for (std::size_t i = 0; i < entry.events.size(); ++i) {
      MutateRaised(entry, i);
    }
    With("an event that was not", entry, [](auto* e) {
      e->events.push_back({0, "invented", "", Bytes("\x01"), {}});
    });
    for (std::size_t i = 0; i < entry.effects.size(); ++i) {
      With("an effect without its intent", entry, [i](auto* e) {
        e->effects.erase(e->effects.begin() + static_cast<std::ptrdiff_t>(i));
      });
      With("another effect", entry,
           [i](auto* e) { e->effects[i].kind += "x"; });
    }
    With("an effect that was not", entry, [](auto* e) {
      e->effects.push_back({"invented", "", Bytes("\x01"), ""});
    });
    Replace("a failure instead of a commit", entry.event_id,
            entry::StepFailed{entry.event_id, entry.lane_id,
                              FailureCode::kException});
    With("the outcome of another ticket", entry,
         [](auto* e) { ++e->event_id.value; });
    // The journal names the ticket above: the record of this one is what is
    // false all the same.
    mutants_.back().event_id = entry.event_id;
    Drop(entry.event_id);
  }

  void MutateDiff(const entry::StepCommitted& entry, std::size_t i) {
    With("a change that is left out", entry, [i](auto* e) {
      e->diffs.erase(e->diffs.begin() + static_cast<std::ptrdiff_t>(i));
    });
    With("a change of another cell", entry, [i](auto* e) {
      e->diffs[i].cell = CellRef{0, "invented"};
    });
    if (i + 1 < entry.diffs.size()) {
      With("changes in another order", entry,
           [i](auto* e) { std::swap(e->diffs[i], e->diffs[i + 1]); });
    }
    if (entry.diffs[i].op == Diff::Op::kPut) {
      With("one more in the state", entry,
           [i](auto* e) { e->diffs[i].state = Other(e->diffs[i].state, 1); });
      With("one less in the state", entry,
           [i](auto* e) { e->diffs[i].state = Other(e->diffs[i].state, -1); });
      With("a cell that ended", entry, [i](auto* e) {
        e->diffs[i].op = Diff::Op::kDelete;
        e->diffs[i].state.clear();
      });
    } else if (entry.diffs[i].op == Diff::Op::kDelete) {
      With("a cell that did not end", entry, [i](auto* e) {
        e->diffs[i].op = Diff::Op::kPut;
        e->diffs[i].state = Bytes("\x01");
      });
    } else {
      MutateUpdate(entry, i);
    }
  }

  void MutateUpdate(const entry::StepCommitted& entry, std::size_t i) {
    const bool with_item = entry.diffs[i].update.op >= Update::Op::kUnion;
    With("another operand", entry, [&](auto* e) {
      Update& update = e->diffs[i].update;
      if (with_item) update.item = Other(update.item, 1);
      if (!with_item) ++update.number;
    });
    With("another update", entry, [&](auto* e) {
      Update& update = e->diffs[i].update;
      if (update.op == Update::Op::kUnion) {
        update.op = Update::Op::kAppend;
      } else if (update.op == Update::Op::kAppend) {
        update.op = Update::Op::kUnion;
      } else if (update.op == Update::Op::kMax) {
        update.op = Update::Op::kMin;
      } else {
        update = {Update::Op::kMax, update.field, update.number, {}};
      }
    });
    With("an update of another field", entry,
         [i](auto* e) { e->diffs[i].update.field += "x"; });
  }

  void MutateRaised(const entry::StepCommitted& entry, std::size_t i) {
    With("an event of another payload", entry, [i](auto* e) {
      e->events[i].payload = Other(e->events[i].payload, 1);
    });
    With("an event for another key", entry,
         [i](auto* e) { e->events[i].key += "x"; });
    With("an event for another reducer", entry,
         [i](auto* e) { ++e->events[i].reducer; });
    With("an event of another schema", entry,
         [i](auto* e) { e->events[i].schema += "x"; });
    With("an event for another time", entry, [i](auto* e) {
      auto& due = e->events[i].due;
      due = LogicalTime{due ? due->value + 1 : 1'000};
    });
    With("an event that is left out", entry, [i](auto* e) {
      e->events.erase(e->events.begin() + static_cast<std::ptrdiff_t>(i));
    });
    if (i + 1 < entry.events.size()) {
      With("events in another order", entry,
           [i](auto* e) { std::swap(e->events[i], e->events[i + 1]); });
    }
  }

  void Mutate(const entry::StepFailed& entry) {
    With("another reason to fail", entry, [](auto* e) {
      e->code = e->code == FailureCode::kException ? FailureCode::kOutOfFuel
                                                   : FailureCode::kException;
    });
    Replace("a commit instead of a failure", entry.event_id,
            entry::StepCommitted{entry.event_id, entry.lane_id, {}, {}, {}});
    Drop(entry.event_id);
  }

  void Mutate(const entry::SnapshotTaken& entry) {
    Add("a snapshot of another ticket", EventId{0},
        [&](std::vector<Bytes>* entries) {
          entry::SnapshotTaken other = entry;
          ++other.event_id.value;
          (*entries)[index_] = BytesOf(other);
        });
    Drop(EventId{0});
  }

  void MutateBlock() {
    const BlockHeader& header = history_[block_].header;
    if (KindOf(EntryOf(Original().back())) == EntryKind::kSnapshotTaken) return;
    Add("a snapshot that was not", EventId{0},
        [&](std::vector<Bytes>* entries) {
          entries->push_back(
              BytesOf(entry::SnapshotTaken{header.round, header.last()}));
        });
  }

  const History& history_;
  std::size_t block_ = 0;
  std::size_t index_ = 0;
  std::vector<Mutant> mutants_;
};

}  // namespace

std::vector<Mutant> MutantsOf(const History& history) {
  return Mutator(history).All();
}

}  // namespace reenact
