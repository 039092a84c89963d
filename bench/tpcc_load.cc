#include "tpcc_load.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "draw.h"
#include "row.h"
#include "tpcc_rows.h"

namespace reenact::bench::tpcc {
namespace {

constexpr std::int64_t kBatch = 100;           // items or customers of an event
constexpr std::uint64_t kLastNameLoadC = 173;  // see 2.1.6.1

// Part of the tables: which, of which warehouse and district, from which item
// or customer on.
struct Part {
  std::string table;
  std::int64_t warehouse = 0, district = 0, first = 0;
  static auto Fields(auto& row) {
    return std::tie(row.table, row.warehouse, row.district, row.first);
  }
};

// A row's own generator, so that parts can be filled in any order.
Rng RngOf(unsigned char table, std::int64_t warehouse, std::int64_t district,
          std::int64_t number) {
  return Rng(Seed{std::uint64_t{table} << 56 |
                  static_cast<std::uint64_t>(warehouse) << 40 |
                  static_cast<std::uint64_t>(district) << 32 |
                  static_cast<std::uint64_t>(number)});
}

// I_DATA and S_DATA: one of ten has "ORIGINAL" somewhere in it.
std::string DrawData(Rng& rng) {
  constexpr std::string_view kOriginal = "ORIGINAL";
  std::string data = DrawText(rng, 26, 50);
  if (rng.Chance(1, 10)) {
    data.replace(rng.Below(data.size() - kOriginal.size() + 1),
                 kOriginal.size(), kOriginal);
  }
  return data;
}

Place DrawPlace(Rng& rng) {
  Place place;
  place.name = DrawText(rng, 6, 10);
  place.tax = rng.Between(0, 2000);
  return place;
}

Item DrawItem(std::int64_t number) {
  Rng rng = RngOf('i', 0, 0, number);
  Item item;
  item.name = DrawText(rng, 14, 24);
  item.price = rng.Between(100, 10'000);
  item.data = DrawData(rng);
  return item;
}

void WriteStock(StepContext& step, std::int64_t warehouse, std::int64_t item) {
  Rng rng = RngOf('s', warehouse, 0, item);
  const std::string key = StockKey(warehouse, item);
  Stock stock;
  stock.quantity = rng.Between(10, 100);
  step.Write(kStock, key, PackRow(stock));
  StockInfo info;
  const std::size_t size = kDistrictInfo * kDistricts;
  info.districts = DrawText(rng, size, size);
  info.data = DrawData(rng);
  step.Write(kStockInfo, key, PackRow(info));
}

class LoaderReducer final : public Reducer {
 public:
  explicit LoaderReducer(const TpccOptions& options) : options_(options) {}

  std::string_view name() const override { return kLoader; }

  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const Part part, UnpackRow<Part>(step.payload()));
    if (part.table == kWarehouse) {
      LoadWarehouse(step, part.warehouse);
    } else if (part.table == kItem) {
      LoadItems(step, part.first);
    } else if (part.table == kCustomer) {
      LoadCustomers(step, part);
    } else if (part.table == kLastName) {
      LoadLastNames(step, part.warehouse, part.district);
    } else {
      return absl::InvalidArgumentError("there is no such table");
    }
    return absl::OkStatus();
  }

 private:
  static void LoadWarehouse(StepContext& step, std::int64_t warehouse) {
    Rng rng = RngOf('w', warehouse, 0, 0);
    const std::string key = WarehouseKey(warehouse);
    step.Write(kWarehouse, key, PackRow(DrawPlace(rng)));
    step.Write(kWarehouseYtd, key, cbor::EncodeInteger(0));
    for (std::int64_t d = 1; d <= kDistricts; ++d) {
      const std::string district = DistrictKey(warehouse, d);
      step.Write(kDistrict, district, PackRow(DrawPlace(rng)));
      step.Write(kDistrictYtd, district, cbor::EncodeInteger(0));
      step.Write(kNextOrder, district, cbor::EncodeInteger(1));
    }
  }

  void LoadItems(StepContext& step, std::int64_t first) const {
    const std::int64_t last = std::min(first + kBatch - 1, options_.items);
    for (std::int64_t i = first; i <= last; ++i) {
      step.Write(kItem, ItemKey(i), PackRow(DrawItem(i)));
      for (std::int64_t w = 1; w <= options_.warehouses; ++w) {
        WriteStock(step, w, i);
      }
    }
  }

  Customer DrawCustomer(std::int64_t warehouse, std::int64_t district,
                        std::int64_t number) const {
    Rng rng = RngOf('c', warehouse, district, number);
    Customer customer;
    // The first 1,000 have each name once, the others by NURand (4.3.3.1).
    const std::int64_t names = LastNameCount(options_);
    const std::int64_t name =
        number <= names ? number - 1
                        : NonUniform(rng, 255, kLastNameLoadC, 0, names - 1);
    customer.last = LastNameText(static_cast<std::uint64_t>(name));
    customer.first = DrawText(rng, 8, 16);
    customer.credit = rng.Chance(1, 10) ? "BC" : "GC";
    customer.discount = rng.Between(0, 5000);
    return customer;
  }

  void LoadCustomers(StepContext& step, const Part& part) const {
    const std::int64_t last =
        std::min(part.first + kBatch - 1, options_.customers);
    for (std::int64_t c = part.first; c <= last; ++c) {
      const std::string key = CustomerKey(part.warehouse, part.district, c);
      step.Write(kCustomer, key,
                 PackRow(DrawCustomer(part.warehouse, part.district, c)));
      step.Write(kAccount, key, PackRow(Account{}));
      Rng rng = RngOf('d', part.warehouse, part.district, c);
      step.Write(kCustomerData, key,
                 PackRow(CustomerData{DrawText(rng, 300, kCustomerDataMax)}));
    }
  }

  void LoadLastNames(StepContext& step, std::int64_t warehouse,
                     std::int64_t district) const {
    // First names and numbers by last name; both in order.
    std::map<std::string, std::vector<std::pair<std::string, std::int64_t>>>
        names;
    for (std::int64_t c = 1; c <= options_.customers; ++c) {
      Customer customer = DrawCustomer(warehouse, district, c);
      names[customer.last].emplace_back(std::move(customer.first), c);
    }
    for (auto& [last, customers] : names) {
      std::sort(customers.begin(), customers.end());
      LastName row;
      for (const auto& [first, c] : customers) row.customers.push_back(c);
      step.Write(kLastName, LastNameKey(warehouse, district, last),
                 PackRow(row));
    }
  }

  const TpccOptions options_;
};

}  // namespace

std::int64_t NonUniform(Rng& rng, std::uint64_t a, std::uint64_t c,
                        std::int64_t low, std::int64_t high) {
  const std::uint64_t mixed =
      rng.Below(a + 1) | static_cast<std::uint64_t>(rng.Between(low, high));
  const std::uint64_t size = static_cast<std::uint64_t>(high - low + 1);
  return low + static_cast<std::int64_t>((mixed + c) % size);
}

std::int64_t LastNameCount(const TpccOptions& options) {
  return std::min<std::int64_t>(1'000, options.customers);
}

std::shared_ptr<const Reducer> Loader(const TpccOptions& options) {
  return std::make_shared<LoaderReducer>(options);
}

std::vector<Input> LoadingInputs(const TpccOptions& options) {
  std::vector<Input> inputs;
  const auto add = [&inputs](const Part& part) {
    const std::string key = part.table + "/" +
                            DistrictKey(part.warehouse, part.district) + "/" +
                            ItemKey(part.first);
    inputs.emplace_back().event = {kLoader, key, "load", PackRow(part)};
  };
  for (std::int64_t i = 1; i <= options.items; i += kBatch) {
    add({kItem, 0, 0, i});
  }
  for (std::int64_t w = 1; w <= options.warehouses; ++w) {
    add({kWarehouse, w, 0, 0});
    for (std::int64_t d = 1; d <= kDistricts; ++d) {
      add({kLastName, w, d, 0});
      for (std::int64_t c = 1; c <= options.customers; c += kBatch) {
        add({kCustomer, w, d, c});
      }
    }
  }
  return inputs;
}

}  // namespace reenact::bench::tpcc
