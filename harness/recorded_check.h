// What must be true of the journal that a run leaves behind.

#ifndef REENACT_HARNESS_RECORDED_CHECK_H_
#define REENACT_HARNESS_RECORDED_CHECK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/harness/state_map.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/module.h"

namespace reenact::harness {

// A property that did not hold.
struct Violation {
  std::string property;  // one of a few words: what shrinking keeps
  std::string detail;    // for people; may be several lines
};

// What steps of one reducer did.
struct ReducerTally {
  std::uint64_t steps = 0;  // committed or failed
  std::uint64_t failed = 0;
  std::uint64_t runs = 0;  // of live worlds: those in vain included
  std::uint64_t reads = 0;
  std::uint64_t bytes = 0;  // of outcomes, as entries

  ReducerTally& operator+=(const ReducerTally& other) {
    steps += other.steps;
    failed += other.failed;
    runs += other.runs;
    reads += other.reads;
    bytes += other.bytes;
    return *this;
  }
};

// What a client was told about something that it submitted.
struct Told {
  std::string client;
  std::string submission_id;
  Event event;
  EventId event_id;  // durable with this ticket; 0: it was told of an error
};

// Serial re-execution of the recorded inputs gives the recorded bytes, and each
// step the same twice. `from`: of the steps from this block on, behind what is
// recorded before it; 0: of all. `observe`: as Scenario::observe; may be empty.
std::optional<Violation> CheckReplay(
    const std::vector<Bytes>& blocks, const std::vector<Module>& modules,
    std::uint64_t from,
    const std::function<void(bool begins, int run, std::string_view reducer,
                             std::string_view key, EventId event_id)>& observe =
        nullptr);

// The first difference between two journals as `reenact verify` names one:
// event, reducer, key, field and what each has; "" if there is none.
std::string DescribeDifferences(const std::vector<Bytes>& a,
                                std::string_view a_name,
                                const std::vector<Bytes>& b,
                                std::string_view b_name);

// The steps of a journal in ticket order, a line for each: what it was given,
// and by whom.
std::string DescribeEvents(const std::vector<Bytes>& blocks);

// How many tickets the cell has that has most.
std::uint64_t LongestCell(const std::vector<Bytes>& blocks);

// Adds up steps, failures and bytes by reducer.
void TallySteps(const std::vector<Bytes>& blocks,
                const std::vector<std::string>& reducers,
                std::map<std::string, ReducerTally>* tallies);

// What is recorded, applied from the beginning on without running reducers,
// gives the cells that the world had.
std::optional<Violation> CheckCells(const std::vector<Bytes>& blocks,
                                    const StateMap& cells);

// Everything that clients were told is durable is there, once, with that
// ticket; what one client submitted is there in its order; and nothing is there
// that nobody submitted.
std::optional<Violation> CheckTold(const std::vector<Bytes>& blocks,
                                   const std::vector<std::string>& reducers,
                                   const std::vector<Told>& told);

// The model gives the same bytes for `inputs`, fed one by one. Nullopt, too, if
// the model does not know what is in the journal (effects, control commands);
// then `applies` is false.
std::optional<Violation> CheckModel(const std::vector<Bytes>& blocks,
                                    const std::vector<Module>& modules,
                                    const std::vector<Input>& inputs,
                                    bool* applies);

// The cells of a store.
StateMap StatesOf(const Store& store);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_RECORDED_CHECK_H_
