#include "tpcc_check.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/kernel/cbor/cbor.h"
#include "tpcc_rows.h"

namespace reenact::bench::tpcc {
namespace {

constexpr std::size_t kDistrictKeySize = 7;  // "0002/07"

absl::Status Wrong(std::string_view what, std::string_view where) {
  return absl::DataLossError("tpc-c: " + std::string(what) + " in " +
                             std::string(where));
}

// OK if both are equal.
absl::Status Equal(std::string_view condition, std::string_view where,
                   std::int64_t left, std::int64_t right) {
  if (left == right) return absl::OkStatus();
  return Wrong(std::string(condition) + " does not hold, " +
                   std::to_string(left) + " is not " + std::to_string(right) +
                   ",",
               where);
}

// Numbers of one district.
struct District {
  std::int64_t ytd = 0, next_order = 0;
  std::int64_t order_max = 0, order_count = 0, lines_said = 0, lines = 0;
  std::int64_t new_order_max = 0, new_order_count = 0;
  std::int64_t new_order_min = std::numeric_limits<std::int64_t>::max();
  std::int64_t paid = 0;
};

class Checker {
 public:
  Checker(const TpccOptions& options, const Expected& expected,
          const World& world)
      : options_(options), expected_(expected), world_(world) {}

  absl::Status Run() {
    REENACT_RETURN_IF_ERROR(ReadDistricts());
    REENACT_RETURN_IF_ERROR(ReadOrders());
    REENACT_RETURN_IF_ERROR(ReadNewOrders());
    REENACT_RETURN_IF_ERROR(ReadHistory());
    for (std::int64_t w = 1; w <= options_.warehouses; ++w) {
      REENACT_RETURN_IF_ERROR(CheckWarehouse(w));
      for (std::int64_t d = 1; d <= kDistricts; ++d) {
        REENACT_RETURN_IF_ERROR(CheckDistrict(w, d));
      }
    }
    REENACT_RETURN_IF_ERROR(CheckCustomers());
    REENACT_RETURN_IF_ERROR(CheckStock());
    REENACT_RETURN_IF_ERROR(
        Equal("number of payments", kHistory, payments_,
              static_cast<std::int64_t>(expected_.payments)));
    return Equal("sum of payments", kHistory, paid_, expected_.paid);
  }

 private:
  using Visit =
      std::function<absl::Status(const std::string& key, BytesView state)>;

  // Visits the rows of a table, warehouse by warehouse, to hold no more than
  // one warehouse's in memory.
  absl::Status ForEach(const char* table, const Visit& visit) const {
    for (std::int64_t w = 1; w <= options_.warehouses; ++w) {
      REENACT_ASSIGN_OR_RETURN(
          const auto rows,
          world_.Scan(table, WarehouseKey(w), WarehouseKey(w + 1),
                      std::numeric_limits<std::size_t>::max()));
      for (const auto& [key, state] : rows) {
        REENACT_RETURN_IF_ERROR(
            Annotate(visit(key, state), std::string(table) + " " + key));
      }
    }
    return absl::OkStatus();
  }

  District& Of(const std::string& key) {
    return districts_[key.substr(0, kDistrictKeySize)];
  }
  // The number that a key ends with.
  static std::int64_t NumberOf(const std::string& key) {
    return std::stoll(key.substr(key.rfind('/') + 1));
  }

  absl::Status ReadDistricts() {
    REENACT_RETURN_IF_ERROR(
        ForEach(kDistrictYtd, [this](const std::string& key, BytesView state) {
          return Integer(state, &Of(key).ytd);
        }));
    return ForEach(kNextOrder, [this](const std::string& key, BytesView state) {
      return Integer(state, &Of(key).next_order);
    });
  }

  static absl::Status Integer(BytesView state, std::int64_t* value) {
    REENACT_ASSIGN_OR_RETURN(*value, cbor::DecodeInteger(state));
    return absl::OkStatus();
  }

  absl::Status ReadOrders() {
    REENACT_RETURN_IF_ERROR(ForEach(
        kOrder,
        [this](const std::string& key, BytesView state) -> absl::Status {
          REENACT_ASSIGN_OR_RETURN(const Order order, UnpackRow<Order>(state));
          District& district = Of(key);
          district.order_max = std::max(district.order_max, NumberOf(key));
          ++district.order_count;
          district.lines_said += order.line_count;
          return absl::OkStatus();
        }));
    return ForEach(
        kOrderLines,
        [this](const std::string& key, BytesView state) -> absl::Status {
          REENACT_ASSIGN_OR_RETURN(const OrderLines lines,
                                   UnpackRow<OrderLines>(state));
          Of(key).lines += static_cast<std::int64_t>(lines.lines.size());
          for (const OrderLine& line : lines.lines) {
            Ordered& ordered = ordered_[StockKey(line.supplier, line.item)];
            ordered.quantity += line.quantity;
            ++ordered.lines;
          }
          return absl::OkStatus();
        });
  }

  absl::Status ReadNewOrders() {
    return ForEach(kNewOrder, [this](const std::string& key, BytesView) {
      District& district = Of(key);
      const std::int64_t number = NumberOf(key);
      district.new_order_max = std::max(district.new_order_max, number);
      district.new_order_min = std::min(district.new_order_min, number);
      ++district.new_order_count;
      return absl::OkStatus();
    });
  }

  absl::Status ReadHistory() {
    return ForEach(
        kHistory,
        [this](const std::string& key, BytesView state) -> absl::Status {
          REENACT_ASSIGN_OR_RETURN(const History history,
                                   UnpackRow<History>(state));
          ++payments_;
          paid_ += history.amount;
          Of(key).paid += history.amount;
          Paid& paid = paid_by_[history.customer];
          paid.amount += history.amount;
          ++paid.count;
          return absl::OkStatus();
        });
  }

  absl::Status CheckWarehouse(std::int64_t w) {
    const std::string key = WarehouseKey(w);
    REENACT_ASSIGN_OR_RETURN(const auto state, world_.Read(kWarehouseYtd, key));
    if (!state) return Wrong("there is no W_YTD", key);
    std::int64_t ytd = 0;
    REENACT_RETURN_IF_ERROR(Integer(*state, &ytd));
    std::int64_t districts = 0, paid = 0;
    for (std::int64_t d = 1; d <= kDistricts; ++d) {
      const District& district = districts_[DistrictKey(w, d)];
      districts += district.ytd;
      paid += district.paid;
    }
    REENACT_RETURN_IF_ERROR(
        Equal("3.3.2.1, W_YTD = sum(D_YTD),", key, ytd, districts));
    return Equal("3.3.2.8, W_YTD = sum(H_AMOUNT),", key, ytd, paid);
  }

  absl::Status CheckDistrict(std::int64_t w, std::int64_t d) {
    const std::string key = DistrictKey(w, d);
    const District& district = districts_[key];
    const std::int64_t last = district.next_order - 1;
    REENACT_RETURN_IF_ERROR(Equal("3.3.2.2, D_NEXT_O_ID - 1 = max(O_ID),", key,
                                  last, district.order_max));
    REENACT_RETURN_IF_ERROR(Equal("3.3.2.2, D_NEXT_O_ID - 1 = max(NO_O_ID),",
                                  key, last, district.new_order_max));
    if (district.new_order_count > 0) {
      REENACT_RETURN_IF_ERROR(
          Equal("3.3.2.3, max(NO_O_ID) - min(NO_O_ID) + 1 = rows of NEW-ORDER,",
                key, district.new_order_max - district.new_order_min + 1,
                district.new_order_count));
    }
    REENACT_RETURN_IF_ERROR(
        Equal("3.3.2.4, sum(O_OL_CNT) = rows of ORDER-LINE,", key,
              district.lines_said, district.lines));
    REENACT_RETURN_IF_ERROR(Equal("3.3.2.9, D_YTD = sum(H_AMOUNT),", key,
                                  district.ytd, district.paid));
    const auto orders = expected_.orders.find({w, d});
    const std::int64_t expected =
        orders == expected_.orders.end() ? 0 : orders->second;
    REENACT_RETURN_IF_ERROR(Equal("number of orders", key, last, expected));
    return Equal("number of orders", key, district.order_count, expected);
  }

  // Nothing is delivered, so 3.3.2.12 is about payments alone.
  absl::Status CheckCustomers() {
    std::int64_t count = 0;
    REENACT_RETURN_IF_ERROR(ForEach(
        kAccount, [&](const std::string& key, BytesView state) -> absl::Status {
          ++count;
          REENACT_ASSIGN_OR_RETURN(const Account account,
                                   UnpackRow<Account>(state));
          REENACT_RETURN_IF_ERROR(
              Equal("3.3.2.12, C_BALANCE + C_YTD_PAYMENT = 0,", key,
                    account.balance + account.ytd_payment, 0));
          const Paid& paid = paid_by_[key];
          REENACT_RETURN_IF_ERROR(Equal("C_YTD_PAYMENT = sum(H_AMOUNT)", key,
                                        account.ytd_payment, paid.amount));
          return Equal("C_PAYMENT_CNT = rows of HISTORY", key,
                       account.payment_count, paid.count);
        }));
    return Equal("number of customers", kAccount, count,
                 options_.warehouses * kDistricts * options_.customers);
  }

  absl::Status CheckStock() {
    std::int64_t count = 0;
    REENACT_RETURN_IF_ERROR(ForEach(
        kStock, [&](const std::string& key, BytesView state) -> absl::Status {
          ++count;
          REENACT_ASSIGN_OR_RETURN(const Stock stock, UnpackRow<Stock>(state));
          const Ordered& ordered = ordered_[key];
          REENACT_RETURN_IF_ERROR(Equal("S_YTD = sum(OL_QUANTITY)", key,
                                        stock.ytd, ordered.quantity));
          return Equal("S_ORDER_CNT = rows of ORDER-LINE", key,
                       stock.order_count, ordered.lines);
        }));
    return Equal("number of rows", kStock, count,
                 options_.warehouses * options_.items);
  }

  struct Ordered {
    std::int64_t quantity = 0, lines = 0;
  };
  struct Paid {
    std::int64_t amount = 0, count = 0;
  };

  const TpccOptions& options_;
  const Expected& expected_;
  const World& world_;
  std::map<std::string, District> districts_;  // by key
  std::map<std::string, Ordered> ordered_;     // by key of the stock
  std::map<std::string, Paid> paid_by_;        // by key of the customer
  std::int64_t payments_ = 0, paid_ = 0;
};

}  // namespace

absl::Status CheckTables(const TpccOptions& options, const Expected& expected,
                         const World& world) {
  return Checker(options, expected, world).Run();
}

}  // namespace reenact::bench::tpcc
