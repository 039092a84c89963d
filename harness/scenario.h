// What a user tells the harness: how a world is set up, who submits what, and
// what must always hold.
//
//   #include "reenact/harness/main.h"
//
//   void Transfers(reenact::harness::Case& run) {
//     run.UseModule(*reenact::MakeModule("bank", "1", MakeBankReducers()));
//     const auto accounts = 2 + run.choices().Below(3, "accounts");
//     for (int teller = 0; teller < 2; ++teller) {
//       run.AddClient("teller", [=](reenact::harness::Client& client) {
//         for (int i = 0; i < 3; ++i) {
//           const auto from = client.choices().Below(accounts, "from");
//           const auto to = client.choices().Below(accounts, "to");
//           (void)client.Submit(Transfer(from, to, 10));
//         }
//       });
//     }
//     run.AddInvariant("no money is made", [](const reenact::World& world) {
//       return SumOf(world) == 100 ? absl::OkStatus()
//                                  : absl::InternalError("the sum is off");
//     });
//   }
//   REENACT_HARNESS_MAIN("transfers", Transfers)
//
// The program takes --runs, --time, --strategy, --faults, --replay ...; its
// --help has all. Everything that is different from run to run comes from
// choices(), so that a run can be had again; a scenario that asks a clock or a
// random device itself is reported as drift.

#ifndef REENACT_HARNESS_SCENARIO_H_
#define REENACT_HARNESS_SCENARIO_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/harness/choices.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/module.h"
#include "reenact/world/effects.h"
#include "reenact/world/world.h"

namespace reenact::harness {

// Somebody who submits, on a task of their own, and who outlives crashes of the
// world as a real client does: what was not acknowledged is submitted again
// under the same submission id.
//
// Thread safety: none; a client belongs to its task.
class Client {
 public:
  virtual ~Client() = default;
  virtual Choices& choices() = 0;
  // Submits and waits until it is durable, in this life of the world or in a
  // later one. A submission id is made if there is none.
  //
  // Errors: those of World::Submit() that trying again does not cure, and
  // FailedPrecondition once the run is over.
  virtual absl::StatusOr<Submission::Outcome> Submit(Input input) = 0;
  // Submits without waiting; what became of it is checked after the run.
  virtual absl::Status Offer(Input input) = 0;
  // Anything else that World has, in this life; the error is the call's.
  virtual absl::Status Do(const std::function<absl::Status(World&)>& call) = 0;
};

// One run's setting, to be filled in.
class Case {
 public:
  virtual ~Case() = default;
  virtual Choices& choices() = 0;

  virtual void UseModule(Module module) = 0;
  // In some runs the world goes on with this one, in the place of the module of
  // its name, after a crash: work in flight meets other code.
  virtual void UpgradeTo(Module module) = 0;
  // Of the new world; scheduling and limits may be drawn. With ClockKind::kWall
  // the clock's jumps are, an hour and years ahead, back, and none.
  virtual WorldConfig& config() = 0;

  // Either inputs that are fed one by one, so that the whole journal is known
  // beforehand and compared with an independent model's ...
  virtual void Feed(std::vector<Input> inputs) = 0;
  // ... or clients that submit beside each other.
  virtual void AddClient(std::string name,
                         std::function<void(Client&)> body) = 0;

  // Done once, in the world's first life, before anybody else: grants,
  // policies.
  virtual void BeforeAll(std::function<absl::Status(World&)> body) = 0;
  // What executors make of an effect; without it they do it: status ok and no
  // payload. Some receipts are sent twice, late, or out of turn in any case.
  virtual void AnswerEffects(
      std::function<Receipt(const OpenEffect&, Choices&)> answer) = 0;

  // Must hold whenever the world is at rest: at the end, and after each
  // recovery from a crash.
  virtual void AddInvariant(
      std::string name, std::function<absl::Status(const World&)> holds) = 0;
};

struct Scenario {
  std::string name;  // letters, digits, '-' and '_'
  std::function<void(Case&)> set_up;
  // Called around each step while its run is checked, as
  // VerifyOptions::observe; any thread. May be empty.
  std::function<void(bool begins, int run, std::string_view reducer,
                     std::string_view key, EventId event_id)>
      observe = nullptr;
  // Asked, by the thread that checked them, what the steps of a run called that
  // no step should, in lines of text; and forgets it. May be empty.
  struct Calls {
    std::string all;
    std::string acts;  // those that do something to the outside: a violation
  };
  std::function<Calls()> calls = nullptr;
};

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_SCENARIO_H_
