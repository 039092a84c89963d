#include "examples/bank/bank.h"

#include <optional>
#include <utility>

#include "examples/support/row.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::examples {
namespace {

constexpr std::string_view kOpen = "bank.open";
constexpr std::string_view kTransfer = "bank.transfer";
constexpr std::string_view kCredit = "bank.credit";

struct Account {
  std::int64_t balance = 0;
  std::int64_t moves = 0;
};

absl::StatusOr<Account> DecodeAccount(std::optional<BytesView> state) {
  Account account;
  if (!state) return account;
  REENACT_ASSIGN_OR_RETURN(const cbor::Value value, cbor::Value::Parse(*state));
  REENACT_ASSIGN_OR_RETURN(account.balance, value.GetInteger("balance"));
  REENACT_ASSIGN_OR_RETURN(account.moves, value.GetInteger("moves"));
  return account;
}

Bytes EncodeAccount(const Account& account) {
  return cbor::Value::Map(
             {{"balance", account.balance}, {"moves", account.moves}})
      .Encode();
}

absl::Status CheckAmount(std::int64_t amount) {
  if (amount > 0 && amount <= kBankAmountMax) return absl::OkStatus();
  return absl::InvalidArgumentError("an amount is 1 to 1000000000000, not " +
                                    std::to_string(amount));
}

absl::Status Credit(Account& account, std::int64_t amount) {
  REENACT_RETURN_IF_ERROR(CheckAmount(amount));
  if (__builtin_add_overflow(account.balance, amount, &account.balance)) {
    return absl::OutOfRangeError("the balance would leave 64 bits");
  }
  ++account.moves;
  return absl::OkStatus();
}

absl::Status Debit(Account& account, std::int64_t amount) {
  REENACT_RETURN_IF_ERROR(CheckAmount(amount));
  if (account.balance < amount) {
    return absl::FailedPreconditionError("the account does not hold that much");
  }
  account.balance -= amount;
  ++account.moves;
  return absl::OkStatus();
}

class BankReducer final : public Reducer {
 public:
  explicit BankReducer(BankVariant variant) : variant_(variant) {}

  std::string_view name() const override { return BankReducerName(variant_); }

  absl::Status Step(StepContext& step) const override {
    REENACT_ASSIGN_OR_RETURN(const cbor::Value payload,
                             cbor::Value::Parse(step.payload()));
    REENACT_ASSIGN_OR_RETURN(const std::int64_t amount,
                             payload.GetInteger("amount"));
    const std::string_view schema = step.event().schema;
    if (schema == kOpen || schema == kCredit) return Receive(step, amount);
    if (schema != kTransfer) {
      return absl::InvalidArgumentError("unknown event " + std::string(schema));
    }
    REENACT_ASSIGN_OR_RETURN(const std::string_view to, payload.GetText("to"));
    return Pay(step, to, amount);
  }

  void Touch(const EventView& event, TouchSet& touches) const override {
    if (variant_ != BankVariant::kDeclared || event.schema != kTransfer) return;
    const auto payload = cbor::Value::Parse(event.payload);
    if (!payload.ok()) return;
    const auto to = payload->GetText("to");
    if (to.ok()) touches.Writes(name(), *to);
  }

 private:
  absl::Status Receive(StepContext& step, std::int64_t amount) const {
    REENACT_ASSIGN_OR_RETURN(Account account, DecodeAccount(step.state()));
    REENACT_RETURN_IF_ERROR(Credit(account, amount));
    step.SetState(EncodeAccount(account));
    return absl::OkStatus();
  }

  absl::Status Pay(StepContext& step, std::string_view to,
                   std::int64_t amount) const {
    if (to == step.key()) {
      return absl::InvalidArgumentError("a transfer needs two accounts");
    }
    REENACT_ASSIGN_OR_RETURN(Account source, DecodeAccount(step.state()));
    REENACT_RETURN_IF_ERROR(Debit(source, amount));
    REENACT_RETURN_IF_ERROR(Deliver(step, to, amount));
    step.SetState(EncodeAccount(source));
    return absl::OkStatus();
  }

  absl::Status Deliver(StepContext& step, std::string_view to,
                       std::int64_t amount) const {
    if (variant_ == BankVariant::kEvents) {
      step.Raise(
          Event{.reducer = std::string(name()),
                .key = std::string(to),
                .schema = std::string(kCredit),
                .payload = cbor::Value::Map({{"amount", amount}}).Encode()});
      return absl::OkStatus();
    }
    REENACT_ASSIGN_OR_RETURN(Account target,
                             DecodeAccount(step.Read(name(), to)));
    REENACT_RETURN_IF_ERROR(Credit(target, amount));
    step.Write(name(), to, EncodeAccount(target));
    return absl::OkStatus();
  }

  const BankVariant variant_;
};

absl::StatusOr<BankVariant> VariantOfRow(const cbor::Value& row) {
  REENACT_ASSIGN_OR_RETURN(const std::optional<std::string> name,
                           OptionalText(row, "variant"));
  if (!name) return BankVariant::kDeclared;
  const absl::StatusOr<BankVariant> variant = ParseBankVariant(*name);
  if (variant.ok()) return variant;
  return FieldError("variant", ToStd(variant.status().message()));
}

absl::StatusOr<Event> EventOfRow(const cbor::Value& row) {
  REENACT_ASSIGN_OR_RETURN(const std::string op, RequiredText(row, "op"));
  REENACT_ASSIGN_OR_RETURN(const BankVariant variant, VariantOfRow(row));
  REENACT_ASSIGN_OR_RETURN(std::string account, RequiredText(row, "account"));
  REENACT_ASSIGN_OR_RETURN(const std::int64_t amount,
                           RequiredInteger(row, "amount"));
  if (op == "open") return OpenAccount(variant, std::move(account), amount);
  if (op != "transfer") return FieldError("op", "neither open nor transfer");
  REENACT_ASSIGN_OR_RETURN(const std::string to, RequiredText(row, "to"));
  return Transfer(variant, std::move(account), to, amount);
}

}  // namespace

std::string_view BankReducerName(BankVariant variant) {
  switch (variant) {
    case BankVariant::kDeclared:
      return "bank.declared";
    case BankVariant::kUndeclared:
      return "bank.undeclared";
    case BankVariant::kEvents:
      break;
  }
  return "bank.events";
}

absl::StatusOr<BankVariant> ParseBankVariant(std::string_view name) {
  if (name == "declared") return BankVariant::kDeclared;
  if (name == "undeclared") return BankVariant::kUndeclared;
  if (name == "events") return BankVariant::kEvents;
  return absl::InvalidArgumentError(
      "neither declared, undeclared nor events: '" + std::string(name) + "'");
}

std::shared_ptr<const Reducer> MakeBankReducer(BankVariant variant) {
  return std::make_shared<BankReducer>(variant);
}

std::vector<std::shared_ptr<const Reducer>> MakeBankReducers() {
  return {MakeBankReducer(BankVariant::kDeclared),
          MakeBankReducer(BankVariant::kUndeclared),
          MakeBankReducer(BankVariant::kEvents)};
}

Event OpenAccount(BankVariant variant, std::string account,
                  std::int64_t amount) {
  return Event{.reducer = std::string(BankReducerName(variant)),
               .key = std::move(account),
               .schema = std::string(kOpen),
               .payload = cbor::Value::Map({{"amount", amount}}).Encode()};
}

Event Transfer(BankVariant variant, std::string from, std::string_view to,
               std::int64_t amount) {
  return Event{
      .reducer = std::string(BankReducerName(variant)),
      .key = std::move(from),
      .schema = std::string(kTransfer),
      .payload = cbor::Value::Map({{"to", to}, {"amount", amount}}).Encode()};
}

absl::StatusOr<std::vector<Input>> MapBankRow(const cbor::Value& row) {
  Input input;
  REENACT_ASSIGN_OR_RETURN(input.event, EventOfRow(row));
  return std::vector<Input>{std::move(input)};
}

absl::StatusOr<std::int64_t> BalanceOf(BytesView state) {
  REENACT_ASSIGN_OR_RETURN(const Account account, DecodeAccount(state));
  return account.balance;
}

absl::StatusOr<std::int64_t> CreditOf(const Event& event) {
  if (event.schema != kCredit) return 0;
  REENACT_ASSIGN_OR_RETURN(const cbor::Value payload,
                           cbor::Value::Parse(event.payload));
  return payload.GetInteger("amount");
}

absl::StatusOr<std::int64_t> TotalBalance(const std::vector<Bytes>& states) {
  std::int64_t total = 0;
  for (const Bytes& state : states) {
    REENACT_ASSIGN_OR_RETURN(const std::int64_t balance, BalanceOf(state));
    if (__builtin_add_overflow(total, balance, &total)) {
      return absl::OutOfRangeError("the total would leave 64 bits");
    }
  }
  return total;
}

}  // namespace reenact::examples
