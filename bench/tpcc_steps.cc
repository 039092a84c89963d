#include "tpcc_steps.h"

#include <string>
#include <utility>

#include "reenact/kernel/cbor/cbor.h"
#include "tpcc_rows.h"

namespace reenact::bench::tpcc {
namespace {

// NotFound: there is no such row.
template <typename Row>
absl::StatusOr<Row> ReadRow(StepContext& step, const char* table,
                            const std::string& key) {
  const auto state = step.Read(table, key);
  if (!state) {
    return absl::NotFoundError(std::string(table) + " has no row " + key);
  }
  return UnpackRow<Row>(*state);
}

bool IsOriginal(const std::string& data) {
  return data.find("ORIGINAL") != std::string::npos;
}

class NewOrder final : public Reducer {
 public:
  std::string_view name() const override { return kNextOrder; }

  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const NewOrderRequest request,
                             UnpackRow<NewOrderRequest>(step.payload()));
    REENACT_ASSIGN_OR_RETURN(const std::int64_t number, TakeNumber(step));
    Order order;
    order.customer = request.customer;
    order.line_count = static_cast<std::int64_t>(request.lines.size());
    order.all_local = 1;
    OrderLines lines;
    std::int64_t sum = 0;
    for (const RequestedLine& line : request.lines) {
      REENACT_ASSIGN_OR_RETURN(OrderLine ordered,
                               OrderOne(step, request, line));
      sum += ordered.amount;
      if (line.supplier != request.warehouse) order.all_local = 0;
      lines.lines.push_back(std::move(ordered));
    }
    REENACT_ASSIGN_OR_RETURN(order.total, Total(step, request, sum));

    const std::string key =
        OrderKey(request.warehouse, request.district, number);
    step.Write(kOrder, key, PackRow(order));
    step.Write(kOrderLines, key, PackRow(lines));
    step.Write(kNewOrder, key, cbor::EncodeInteger(number));
    return absl::OkStatus();
  }

  void Touch(const EventView& event, TouchSet& touches) const override {
    const auto request = UnpackRow<NewOrderRequest>(event.payload);
    if (!request.ok()) return;
    touches.Reads(kWarehouse, WarehouseKey(request->warehouse));
    touches.Reads(kDistrict,
                  DistrictKey(request->warehouse, request->district));
    touches.Reads(kCustomer, CustomerKey(request->warehouse, request->district,
                                         request->customer));
    for (const RequestedLine& line : request->lines) {
      touches.Reads(kItem, ItemKey(line.item));
      const std::string stock = StockKey(line.supplier, line.item);
      touches.Reads(kStockInfo, stock);
      touches.Writes(kStock, stock);
    }
  }

 private:
  // The order's number; the next one gets the next.
  static absl::StatusOr<std::int64_t> TakeNumber(StepContext& step) {
    const auto state = step.state();
    if (!state) return absl::NotFoundError("there is no such district");
    REENACT_ASSIGN_OR_RETURN(const std::int64_t number,
                             cbor::DecodeInteger(*state));
    step.SetState(cbor::EncodeInteger(number + 1));
    return number;
  }

  static absl::StatusOr<OrderLine> OrderOne(StepContext& step,
                                            const NewOrderRequest& request,
                                            const RequestedLine& line) {
    REENACT_ASSIGN_OR_RETURN(const Item item,
                             ReadRow<Item>(step, kItem, ItemKey(line.item)));
    const std::string key = StockKey(line.supplier, line.item);
    REENACT_ASSIGN_OR_RETURN(Stock stock, ReadRow<Stock>(step, kStock, key));
    REENACT_ASSIGN_OR_RETURN(const StockInfo info,
                             ReadRow<StockInfo>(step, kStockInfo, key));
    OrderLine ordered;
    ordered.item = line.item;
    ordered.supplier = line.supplier;
    ordered.quantity = line.quantity;
    ordered.amount = line.quantity * item.price;
    ordered.district_info = info.districts.substr(
        static_cast<std::size_t>(request.district - 1) * kDistrictInfo,
        kDistrictInfo);
    const bool branded = IsOriginal(item.data) && IsOriginal(info.data);
    ordered.brand = branded ? "B" : "G";

    stock.quantity -= line.quantity;
    if (stock.quantity < 10) stock.quantity += 91;
    stock.ytd += line.quantity;
    ++stock.order_count;
    if (line.supplier != request.warehouse) ++stock.remote_count;
    step.Write(kStock, key, PackRow(stock));
    return ordered;
  }

  // With the customer's discount and both taxes.
  static absl::StatusOr<std::int64_t> Total(StepContext& step,
                                            const NewOrderRequest& request,
                                            std::int64_t sum) {
    const std::int64_t w = request.warehouse, d = request.district;
    REENACT_ASSIGN_OR_RETURN(const Place warehouse,
                             ReadRow<Place>(step, kWarehouse, WarehouseKey(w)));
    REENACT_ASSIGN_OR_RETURN(
        const Place district,
        ReadRow<Place>(step, kDistrict, DistrictKey(w, d)));
    REENACT_ASSIGN_OR_RETURN(
        const Customer customer,
        ReadRow<Customer>(step, kCustomer,
                          CustomerKey(w, d, request.customer)));
    return sum * (10'000 - customer.discount) / 10'000 *
           (10'000 + warehouse.tax + district.tax) / 10'000;
  }
};

class Payment final : public Reducer {
 public:
  std::string_view name() const override { return kHistory; }

  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const PaymentRequest request,
                             UnpackRow<PaymentRequest>(step.payload()));
    const std::string w = WarehouseKey(request.warehouse);
    const std::string d = DistrictKey(request.warehouse, request.district);
    REENACT_ASSIGN_OR_RETURN(const Place warehouse,
                             ReadRow<Place>(step, kWarehouse, w));
    REENACT_ASSIGN_OR_RETURN(const Place district,
                             ReadRow<Place>(step, kDistrict, d));
    Update received;
    received.number = request.amount;
    step.Apply(kWarehouseYtd, w, received);
    step.Apply(kDistrictYtd, d, received);

    REENACT_ASSIGN_OR_RETURN(const std::string key,
                             FindCustomer(step, request));
    REENACT_RETURN_IF_ERROR(Pay(step, request, key));
    step.SetState(PackRow(
        History{key, request.amount, warehouse.name + "    " + district.name}));
    return absl::OkStatus();
  }

  void Touch(const EventView& event, TouchSet& touches) const override {
    const auto request = UnpackRow<PaymentRequest>(event.payload);
    if (!request.ok()) return;
    touches.Reads(kWarehouse, WarehouseKey(request->warehouse));
    touches.Reads(kDistrict,
                  DistrictKey(request->warehouse, request->district));
    if (request->customer == 0) {
      touches.Reads(kLastName,
                    LastNameKey(request->customer_warehouse,
                                request->customer_district, request->last));
    } else {
      const std::string key =
          CustomerKey(request->customer_warehouse, request->customer_district,
                      request->customer);
      touches.Reads(kCustomer, key);
      touches.Writes(kAccount, key);
    }
  }

 private:
  // The key of the customer: of several with a last name the one in the middle,
  // rounded up (2.5.2.2).
  static absl::StatusOr<std::string> FindCustomer(
      StepContext& step, const PaymentRequest& request) {
    const std::int64_t w = request.customer_warehouse;
    const std::int64_t d = request.customer_district;
    std::int64_t customer = request.customer;
    if (customer == 0) {
      REENACT_ASSIGN_OR_RETURN(
          const LastName found,
          ReadRow<LastName>(step, kLastName, LastNameKey(w, d, request.last)));
      const auto& customers = found.customers;
      if (customers.empty()) return absl::NotFoundError("nobody has that name");
      customer = customers[(customers.size() + 1) / 2 - 1];
    }
    return CustomerKey(w, d, customer);
  }

  static absl::Status Pay(StepContext& step, const PaymentRequest& request,
                          const std::string& key) {
    REENACT_ASSIGN_OR_RETURN(Account account,
                             ReadRow<Account>(step, kAccount, key));
    account.balance -= request.amount;
    account.ytd_payment += request.amount;
    ++account.payment_count;
    step.Write(kAccount, key, PackRow(account));
    REENACT_ASSIGN_OR_RETURN(const Customer customer,
                             ReadRow<Customer>(step, kCustomer, key));
    return customer.credit == "BC" ? Remark(step, request, key)
                                   : absl::OkStatus();
  }

  // Who has bad credit has each payment noted (2.5.2.2).
  static absl::Status Remark(StepContext& step, const PaymentRequest& request,
                             const std::string& key) {
    REENACT_ASSIGN_OR_RETURN(CustomerData row,
                             ReadRow<CustomerData>(step, kCustomerData, key));
    row.data = key + " " + DistrictKey(request.warehouse, request.district) +
               " " + std::to_string(request.amount) + " " + row.data;
    if (row.data.size() > kCustomerDataMax) row.data.resize(kCustomerDataMax);
    step.Write(kCustomerData, key, PackRow(row));
    return absl::OkStatus();
  }
};

}  // namespace

std::shared_ptr<const Reducer> NewOrderReducer() {
  return std::make_shared<NewOrder>();
}

std::shared_ptr<const Reducer> PaymentReducer() {
  return std::make_shared<Payment>();
}

}  // namespace reenact::bench::tpcc
