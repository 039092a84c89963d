// The workloads that figures are taken of: that they are the same whoever runs
// them, that they hold what they promise, and that a world in which they do not
// is found out.

#include "bench/workload.h"

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench/draw.h"
#include "reenact/journal/store.h"
#include "reenact/kernel/reducer.h"
#include "reenact/workers/pool.h"
#include "reenact/world/world_internal.h"
#include "tests/support/status_matchers.h"

namespace reenact::bench {
namespace {

constexpr std::size_t kTransactions = 3'000;

std::unique_ptr<World> Run(const Workload& workload, Module module,
                           std::unique_ptr<Pool> pool) {
  WorldOptions options;
  SetIdentity(0, options.config);  // compared by their bytes
  options.modules.push_back(std::move(module));
  WorldInternals internals;
  internals.pool = std::move(pool);
  internals.never_inline = true;
  auto world = OpenWorld(std::move(options), std::move(internals));
  REQUIRE_OK(world);
  REQUIRE_OK((*world)->Feed(*workload.Loading()));
  REQUIRE_OK((*world)->Feed(*workload.Inputs(kTransactions)));
  return *std::move(world);
}

std::unique_ptr<World> Run(const Workload& workload,
                           std::unique_ptr<Pool> pool) {
  return Run(workload, workload.module(), std::move(pool));
}

// --- a world that is wrong ---------------------------------------------------

// A step whose writes to one cell, own or not, are forgotten.
class ForgetfulStep final : public StepContext {
 public:
  ForgetfulStep(StepContext* step, std::string_view forgotten)
      : step_(step), forgotten_(forgotten) {}
  ~ForgetfulStep() = default;

  EventId event_id() const override { return step_->event_id(); }
  LogicalTime time() const override { return step_->time(); }
  const Cause& cause() const override { return step_->cause(); }
  const EventView& event() const override { return step_->event(); }
  std::optional<BytesView> state() override { return step_->state(); }
  void SetState(BytesView state) override {
    if (!Forgets(event().reducer)) step_->SetState(state);
  }
  void DeleteState() override { step_->DeleteState(); }
  std::optional<BytesView> Read(std::string_view reducer,
                                std::string_view key) override {
    return step_->Read(reducer, key);
  }
  void Write(std::string_view reducer, std::string_view key,
             BytesView state) override {
    if (!Forgets(reducer)) step_->Write(reducer, key, state);
  }
  void Delete(std::string_view reducer, std::string_view key) override {
    step_->Delete(reducer, key);
  }
  std::vector<std::pair<std::string, Bytes>> Scan(std::string_view reducer,
                                                  std::string_view from,
                                                  std::string_view to,
                                                  std::size_t limit) override {
    return step_->Scan(reducer, from, to, limit);
  }
  void Apply(std::string_view reducer, std::string_view key,
             Update update) override {
    if (!Forgets(reducer)) step_->Apply(reducer, key, std::move(update));
  }
  void Raise(Event event) override { step_->Raise(std::move(event)); }
  void RaiseAt(LogicalTime due, Event event) override {
    step_->RaiseAt(due, std::move(event));
  }
  void Intend(EffectIntent intent) override {
    step_->Intend(std::move(intent));
  }
  bool Affords(std::string_view capability, const Amounts& amounts) override {
    return step_->Affords(capability, amounts);
  }
  Rng& rng() override { return step_->rng(); }
  void UseFuel(std::uint64_t amount) override { step_->UseFuel(amount); }

 private:
  bool Forgets(std::string_view reducer) const { return reducer == forgotten_; }

  StepContext* const step_;
  const std::string_view forgotten_;
};

// A forgetful reducer forgets at each ticket that this divides.
constexpr std::uint64_t kForgetEvery = 97;

// The module, but that now and then a transaction's writes to `cells` are lost.
Module Forgetful(const Module& module, const std::string& cells) {
  std::vector<std::shared_ptr<const Reducer>> reducers;
  for (const auto& reducer : module.reducers) {
    reducers.push_back(MakeReducer(
        std::string(reducer->name()),
        [reducer, cells](StepContext& step) {
          const std::string_view schema = step.event().schema;
          const bool loading =
              schema == "load" || schema == "insert" || schema == "open";
          if (loading || step.event_id().value % kForgetEvery != 0) {
            return reducer->Step(step);
          }
          ForgetfulStep forgetful(&step, cells);
          return reducer->Step(forgetful);
        },
        [reducer](const EventView& event, TouchSet& touches) {
          reducer->Touch(event, touches);
        }));
  }
  auto made = MakeModule(module.record.name, module.record.version,
                         std::move(reducers));
  REQUIRE_OK(made);
  return *std::move(made);
}

std::unique_ptr<Workload> Find(const std::string& name) {
  for (auto& workload : AllWorkloads(/*quick=*/true)) {
    if (workload->name() == name) return std::move(workload);
  }
  FAIL("no workload is called " << name);
  return nullptr;
}

absl::Status CheckForgetful(const std::string& workload_name,
                            const std::string& cells) {
  const auto workload = Find(workload_name);
  const auto world =
      Run(*workload, Forgetful(workload->module(), cells), NewInlinePool());
  return workload->Check(*world);
}

// --- tests -------------------------------------------------------------------

TEST_CASE("workloads leave the same bytes whoever runs them", "[bench]") {
  for (const auto& workload : AllWorkloads(/*quick=*/true)) {
    INFO(workload->name());
    const auto serial = Run(*workload, NewInlinePool());
    REQUIRE_OK(workload->Check(*serial));

    const auto threads = Run(*workload, NewThreadPool(2));
    REQUIRE_OK(workload->Check(*threads));
    CHECK(threads->journal_digest() == serial->journal_digest());

    constexpr std::uint64_t kSeed = 11;
    const auto shuffled = Run(*workload, NewShuffledPool(kSeed));
    REQUIRE_OK(workload->Check(*shuffled));
    CHECK(shuffled->journal_digest() == serial->journal_digest());
  }
}

TEST_CASE("a workload is the same each time it is made", "[bench]") {
  const auto again = AllWorkloads(/*quick=*/true);
  std::size_t i = 0;
  for (const auto& workload : AllWorkloads(/*quick=*/true)) {
    INFO(workload->name());
    const auto once = Run(*workload, NewInlinePool());
    const auto twice = Run(*again[i++], NewInlinePool());
    CHECK(once->journal_digest() == twice->journal_digest());
  }
}

TEST_CASE("workloads have names of their own", "[bench]") {
  for (const bool quick : {false, true}) {
    std::set<std::string> names;
    const auto all = AllWorkloads(quick);
    for (const auto& workload : all) names.insert(workload->name());
    CHECK(names.size() == all.size());
  }
}

TEST_CASE("one new order of a hundred is rolled back, and nothing else is",
          "[bench]") {
  const auto workload = Find("tpc-c, 2 warehouses");
  const auto world = Run(*workload, NewInlinePool());
  const WorldStats stats = world->stats();
  // About 1,500 new orders: 15 of them, give or take.
  CHECK(stats.failed >= 3);
  CHECK(stats.failed <= 40);
  REQUIRE(stats.failures.size() == 1);
  CHECK(FailureName(stats.failures[0].first) == "not_found");
}

TEST_CASE("payments of a warehouse do not make each other stale", "[bench]") {
  // W_YTD is an update that commutes. Two payments by name may still meet at
  // one customer, whom they could not declare.
  const auto workload = Find("tpc-c, 2 warehouses");
  const auto world = Run(*workload, NewShuffledPool(3));
  CHECK(world->stats().reruns < kTransactions / 5);
}

TEST_CASE("a write that TPC-C forgets is found", "[bench]") {
  struct Loss {
    const char* cells;
    const char* condition;
  };
  const Loss losses[] = {
      {"tpcc.warehouse-ytd", "3.3.2.1"},
      {"tpcc.district-ytd", "3.3.2.1"},
      {"tpcc.new-order", "3.3.2.3"},
      {"tpcc.order-lines", "3.3.2.4"},
      {"tpcc.order", "3.3.2.4"},
      {"tpcc.history", "3.3.2.8"},
      {"tpcc.next-order", "number of orders"},
      {"tpcc.account", "C_YTD_PAYMENT = sum(H_AMOUNT)"},
      {"tpcc.stock", "S_YTD = sum(OL_QUANTITY)"},
  };
  for (const Loss& loss : losses) {
    INFO(loss.cells);
    const absl::Status status =
        CheckForgetful("tpc-c, 2 warehouses", loss.cells);
    CHECK(status.code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(ToStd(status.message())),
               Catch::Contains(loss.condition));
  }
}

TEST_CASE("a record that YCSB does not update is found", "[bench]") {
  for (const char* name : {"ycsb, zipf 0", "ycsb, zipf 0.9"}) {
    const absl::Status status = CheckForgetful(name, "record");
    CHECK(status.code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(ToStd(status.message())),
               Catch::Contains("it was updated"));
  }
}

TEST_CASE("money that a transfer loses is found", "[bench]") {
  const absl::Status status =
      CheckForgetful("transfers, 10 accounts", "account");
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(ToStd(status.message())),
             Catch::Contains("account 0000"));
}

TEST_CASE("a world that was fed nothing yet is as it was loaded", "[bench]") {
  for (const auto& workload : AllWorkloads(/*quick=*/true)) {
    INFO(workload->name());
    WorldOptions options;
    SetIdentity(0, options.config);  // compared by their bytes
    options.modules.push_back(workload->module());
    auto world = World::Open(std::move(options));
    REQUIRE_OK(world);
    REQUIRE_OK((*world)->Feed(*workload->Loading()));
    CHECK_THAT(workload->Check(**world).ToString(), Catch::Equals("OK"));
  }
}

TEST_CASE("Zipf's law draws the first number as often as it says", "[bench]") {
  static constexpr std::uint32_t kSize = 100;
  static constexpr int kDraws = 20'000;
  const auto share_of_first = [](double exponent) {
    const Zipf zipf(kSize, exponent);
    Rng rng(Seed{5});
    int first = 0;
    for (int i = 0; i < kDraws; ++i) {
      const std::uint32_t drawn = zipf.Draw(rng);
      REQUIRE(drawn < kSize);
      first += drawn == 0 ? 1 : 0;
    }
    return static_cast<double>(first) / kDraws;
  };
  CHECK(share_of_first(0) == Approx(0.01).margin(0.003));
  // 1 / sum of k^-0.9 for k from 1 to 100.
  CHECK(share_of_first(0.9) == Approx(0.156).margin(0.01));
}

}  // namespace
}  // namespace reenact::bench
