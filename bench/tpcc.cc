#include "tpcc.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "draw.h"
#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/rng.h"
#include "tpcc_check.h"
#include "tpcc_load.h"
#include "tpcc_rows.h"
#include "tpcc_steps.h"

namespace reenact::bench {
namespace tpcc {
namespace {

// The C of NURand for each column; that of C_LAST is not the one of the loading
// and 65 to 119 apart from it (2.1.6.1).
constexpr std::uint64_t kLastNameRunC = 73;
constexpr std::uint64_t kCustomerC = 259;
constexpr std::uint64_t kItemC = 7911;

// A table that no event is for.
std::shared_ptr<const Reducer> Table(const char* name) {
  return MakeReducer(name, [](StepContext&) {
    return absl::UnimplementedError("this table has no events");
  });
}

// The transactions of a run, in order.
class TransactionDraw {
 public:
  explicit TransactionDraw(const TpccOptions& options) : options_(options) {}

  Input Next() { return rng_.Chance(1, 2) ? NextOrder() : NextPayment(); }

  // What the transactions so far lead to.
  const Expected& expected() const { return expected_; }

 private:
  std::int64_t Warehouse() { return rng_.Between(1, options_.warehouses); }
  std::int64_t District() { return rng_.Between(1, kDistricts); }
  std::int64_t Customer() {
    return NonUniform(rng_, 1023, kCustomerC, 1, options_.customers);
  }

  std::int64_t OtherWarehouse(std::int64_t home) {
    const std::int64_t other = rng_.Between(1, options_.warehouses - 1);
    return other < home ? other : other + 1;
  }
  bool Remote(std::uint64_t percent) {
    return options_.warehouses > 1 && rng_.Chance(percent, 100);
  }

  Input NextOrder() {
    NewOrderRequest request;
    request.warehouse = Warehouse();
    request.district = District();
    request.customer = Customer();
    const std::int64_t count = rng_.Between(5, 15);
    const bool rolled_back = rng_.Chance(1, 100);
    for (std::int64_t i = 0; i < count; ++i) {
      RequestedLine line;
      line.item = NonUniform(rng_, 8191, kItemC, 1, options_.items);
      line.supplier =
          Remote(1) ? OtherWarehouse(request.warehouse) : request.warehouse;
      line.quantity = rng_.Between(1, 10);
      request.lines.push_back(line);
    }
    if (rolled_back) {
      request.lines.back().item = options_.items + 1;  // there is none
    } else {
      const auto home = std::make_pair(request.warehouse, request.district);
      ++expected_.orders[home];
    }
    Input input;
    input.event = {kNextOrder, DistrictKey(request.warehouse, request.district),
                   "new-order", PackRow(request)};
    return input;
  }

  Input NextPayment() {
    PaymentRequest request;
    request.warehouse = Warehouse();
    request.district = District();
    request.customer_warehouse = request.warehouse;
    request.customer_district = request.district;
    if (Remote(15)) {
      request.customer_warehouse = OtherWarehouse(request.warehouse);
      request.customer_district = District();
    }
    if (rng_.Chance(60, 100)) {
      request.last = LastNameText(static_cast<std::uint64_t>(NonUniform(
          rng_, 255, kLastNameRunC, 0, LastNameCount(options_) - 1)));
    } else {
      request.customer = Customer();
    }
    request.amount = rng_.Between(100, 500'000);
    const std::string key = DistrictKey(request.warehouse, request.district) +
                            "/" + Digits(++expected_.payments, 10);
    expected_.paid += request.amount;
    Input input;
    input.event = {kHistory, key, "payment", PackRow(request)};
    return input;
  }

  const TpccOptions options_;
  Expected expected_;
  Rng rng_{Seed{19920813}};
};

class Tpcc final : public Workload {
 public:
  explicit Tpcc(const TpccOptions& options)
      : options_(options), loading_(LoadingInputs(options)) {
    REENACT_CHECK(options.warehouses >= 1 && options.items >= 1 &&
                  options.customers >= 1);
  }

  std::string name() const override {
    return "tpc-c, " + std::to_string(options_.warehouses) + " warehouses";
  }

  Module module() const override {
    auto module =
        MakeModule("tpcc", "1",
                   {Loader(options_), NewOrderReducer(), PaymentReducer(),
                    Table(kWarehouse), Table(kWarehouseYtd), Table(kDistrict),
                    Table(kDistrictYtd), Table(kCustomer), Table(kAccount),
                    Table(kCustomerData), Table(kLastName), Table(kStockInfo),
                    Table(kItem), Table(kStock), Table(kOrder),
                    Table(kOrderLines), Table(kNewOrder)});
    REENACT_CHECK(module.ok());
    return *std::move(module);
  }

  std::unique_ptr<InputSource> Loading() const override {
    return ReadySource(loading_, 0);
  }

  std::unique_ptr<InputSource> Inputs(std::size_t count) const override {
    std::vector<Input> inputs;
    TransactionDraw draw(options_);
    while (inputs.size() < count) inputs.push_back(draw.Next());
    return ReadySource(std::move(inputs), loading_.size());
  }

  absl::Status Check(const World& world) const override {
    TransactionDraw draw(options_);
    for (std::size_t i = loading_.size(); i < world.position(); ++i) {
      draw.Next();
    }
    return CheckTables(options_, draw.expected(), world);
  }

 private:
  const TpccOptions options_;
  const std::vector<Input> loading_;
};

}  // namespace
}  // namespace tpcc

std::unique_ptr<Workload> NewTpcc(const TpccOptions& options) {
  return std::make_unique<tpcc::Tpcc>(options);
}

}  // namespace reenact::bench
