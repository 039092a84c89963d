// The rows, keys and requests of bench/tpcc.h. Money is in cents, taxes and
// discounts are in ten-thousandths.

#ifndef REENACT_BENCH_TPCC_ROWS_H_
#define REENACT_BENCH_TPCC_ROWS_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "draw.h"
#include "row.h"

namespace reenact::bench::tpcc {

inline constexpr std::int64_t kDistricts = 10;    // of a warehouse
inline constexpr std::size_t kDistrictInfo = 24;  // characters of an S_DIST_xx
inline constexpr std::size_t kCustomerDataMax = 500;

// The tables: names of reducers.
inline constexpr const char* kLoader = "tpcc.loader";
inline constexpr const char* kWarehouse = "tpcc.warehouse";
inline constexpr const char* kWarehouseYtd = "tpcc.warehouse-ytd";
inline constexpr const char* kDistrict = "tpcc.district";
inline constexpr const char* kDistrictYtd = "tpcc.district-ytd";
inline constexpr const char* kNextOrder = "tpcc.next-order";
inline constexpr const char* kCustomer = "tpcc.customer";
inline constexpr const char* kAccount = "tpcc.account";
inline constexpr const char* kCustomerData = "tpcc.customer-data";
inline constexpr const char* kLastName = "tpcc.last-name";
inline constexpr const char* kItem = "tpcc.item";
inline constexpr const char* kStock = "tpcc.stock";
inline constexpr const char* kStockInfo = "tpcc.stock-info";
inline constexpr const char* kOrder = "tpcc.order";
inline constexpr const char* kOrderLines = "tpcc.order-lines";
inline constexpr const char* kNewOrder = "tpcc.new-order";
inline constexpr const char* kHistory = "tpcc.history";

// --- rows --------------------------------------------------------------------

struct Place {  // of a warehouse or a district
  std::string name;
  std::int64_t tax = 0;
  static auto Fields(auto& row) { return std::tie(row.name, row.tax); }
};

struct Customer {
  std::string first, last, credit;  // "GC" or "BC"
  std::int64_t discount = 0;
  static auto Fields(auto& row) {
    return std::tie(row.first, row.last, row.credit, row.discount);
  }
};

struct Account {  // of a customer
  std::int64_t balance = 0, ytd_payment = 0, payment_count = 0;
  static auto Fields(auto& row) {
    return std::tie(row.balance, row.ytd_payment, row.payment_count);
  }
};

struct CustomerData {
  std::string data;
  static auto Fields(auto& row) { return std::tie(row.data); }
};

struct LastName {
  std::vector<std::int64_t> customers;
  static auto Fields(auto& row) { return std::tie(row.customers); }
};

struct Item {
  std::string name;
  std::int64_t price = 0;
  std::string data;
  static auto Fields(auto& row) {
    return std::tie(row.name, row.price, row.data);
  }
};

struct Stock {
  std::int64_t quantity = 0, ytd = 0, order_count = 0, remote_count = 0;
  static auto Fields(auto& row) {
    return std::tie(row.quantity, row.ytd, row.order_count, row.remote_count);
  }
};

struct StockInfo {
  std::string districts;  // S_DIST_01 to S_DIST_10
  std::string data;
  static auto Fields(auto& row) { return std::tie(row.districts, row.data); }
};

struct Order {
  std::int64_t customer = 0, line_count = 0, all_local = 0;
  std::int64_t total = 0;  // with taxes and discount: what is displayed
  static auto Fields(auto& row) {
    return std::tie(row.customer, row.line_count, row.all_local, row.total);
  }
};

struct OrderLine {
  std::int64_t item = 0, supplier = 0, quantity = 0, amount = 0;
  std::string district_info, brand;  // brand: "B" or "G"
  static auto Fields(auto& row) {
    return std::tie(row.item, row.supplier, row.quantity, row.amount,
                    row.district_info, row.brand);
  }
};

struct OrderLines {
  std::vector<OrderLine> lines;
  static auto Fields(auto& row) { return std::tie(row.lines); }
};

struct History {
  std::string customer;  // its key
  std::int64_t amount = 0;
  std::string data;
  static auto Fields(auto& row) {
    return std::tie(row.customer, row.amount, row.data);
  }
};

// --- requests: payloads ------------------------------------------------------

struct RequestedLine {
  std::int64_t item = 0, supplier = 0, quantity = 0;
  static auto Fields(auto& row) {
    return std::tie(row.item, row.supplier, row.quantity);
  }
};

struct NewOrderRequest {
  std::int64_t warehouse = 0, district = 0, customer = 0;
  std::vector<RequestedLine> lines;
  static auto Fields(auto& row) {
    return std::tie(row.warehouse, row.district, row.customer, row.lines);
  }
};

struct PaymentRequest {
  std::int64_t warehouse = 0, district = 0;
  std::int64_t customer_warehouse = 0, customer_district = 0;
  std::int64_t customer = 0;  // 0: by `last`
  std::string last;
  std::int64_t amount = 0;
  static auto Fields(auto& row) {
    return std::tie(row.warehouse, row.district, row.customer_warehouse,
                    row.customer_district, row.customer, row.last, row.amount);
  }
};

// --- keys --------------------------------------------------------------------

inline std::string WarehouseKey(std::int64_t warehouse) {
  return Digits(static_cast<std::uint64_t>(warehouse), 4);
}
inline std::string DistrictKey(std::int64_t warehouse, std::int64_t district) {
  return WarehouseKey(warehouse) + "/" +
         Digits(static_cast<std::uint64_t>(district), 2);
}
inline std::string CustomerKey(std::int64_t warehouse, std::int64_t district,
                               std::int64_t customer) {
  return DistrictKey(warehouse, district) + "/" +
         Digits(static_cast<std::uint64_t>(customer), 4);
}
inline std::string LastNameKey(std::int64_t warehouse, std::int64_t district,
                               const std::string& last) {
  return DistrictKey(warehouse, district) + "/" + last;
}
inline std::string ItemKey(std::int64_t item) {
  return Digits(static_cast<std::uint64_t>(item), 6);
}
inline std::string StockKey(std::int64_t warehouse, std::int64_t item) {
  return WarehouseKey(warehouse) + "/" + ItemKey(item);
}
// Also of order lines and new orders.
inline std::string OrderKey(std::int64_t warehouse, std::int64_t district,
                            std::int64_t order) {
  return DistrictKey(warehouse, district) + "/" +
         Digits(static_cast<std::uint64_t>(order), 8);
}

// The `number`-th last name, from 0 to 999 (4.3.2.3).
inline std::string LastNameText(std::uint64_t number) {
  static constexpr const char* kSyllables[] = {
      "BAR", "OUGHT", "ABLE",  "PRI",   "PRES",
      "ESE", "ANTI",  "CALLY", "ATION", "EING"};
  return std::string(kSyllables[number / 100 % 10]) +
         kSyllables[number / 10 % 10] + kSyllables[number % 10];
}

}  // namespace reenact::bench::tpcc

#endif  // REENACT_BENCH_TPCC_ROWS_H_
