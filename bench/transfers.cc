#include "transfers.h"

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "draw.h"
#include "reenact/base/check.h"
#include "reenact/kernel/rng.h"
#include "row.h"

namespace reenact::bench {
namespace {

constexpr const char* kAccount = "account";
constexpr std::int64_t kOpening = 1'000'000'000;  // more than anybody can spend
constexpr std::int64_t kAmountMax = 100;

struct Account {
  std::int64_t balance = 0, sent = 0;
  static auto Fields(auto& row) { return std::tie(row.balance, row.sent); }
};

struct Payment {
  std::string to;  // empty: the account is opened, with `amount`
  std::int64_t amount = 0;
  static auto Fields(auto& row) { return std::tie(row.to, row.amount); }
};

std::string AccountKey(std::uint64_t account) { return Digits(account, 5); }

absl::StatusOr<Account> Unpack(std::optional<BytesView> state) {
  if (!state) return absl::NotFoundError("there is no such account");
  return UnpackRow<Account>(*state);
}

absl::Status Pay(StepContext& step) {
  REENACT_ASSIGN_OR_RETURN(const Payment payment,
                           UnpackRow<Payment>(step.payload()));
  if (payment.to.empty()) {
    step.SetState(PackRow(Account{payment.amount, 0}));
    return absl::OkStatus();
  }
  REENACT_ASSIGN_OR_RETURN(Account from, Unpack(step.state()));
  REENACT_ASSIGN_OR_RETURN(Account to, Unpack(step.Read(kAccount, payment.to)));
  if (from.balance < payment.amount) {
    return absl::FailedPreconditionError("there is not as much money");
  }
  from.balance -= payment.amount;
  ++from.sent;
  to.balance += payment.amount;
  step.SetState(PackRow(from));
  step.Write(kAccount, payment.to, PackRow(to));
  return absl::OkStatus();
}

void TouchPayee(const EventView& event, TouchSet& touches) {
  const auto payment = UnpackRow<Payment>(event.payload);
  if (!payment.ok() || payment->to.empty()) return;
  touches.Writes(kAccount, payment->to);
}

struct Transfer {
  std::uint64_t from = 0, to = 0;
  std::int64_t amount = 0;
};

class TransferDraw {
 public:
  explicit TransferDraw(std::uint32_t accounts) : accounts_(accounts) {}
  Transfer Next() {
    Transfer transfer;
    transfer.from = rng_.Below(accounts_);
    transfer.to = rng_.Below(accounts_ - 1);
    if (transfer.to >= transfer.from) ++transfer.to;
    transfer.amount = rng_.Between(1, kAmountMax);
    return transfer;
  }

 private:
  const std::uint32_t accounts_;
  Rng rng_{Seed{20230225}};
};

class Transfers final : public Workload {
 public:
  explicit Transfers(std::uint32_t accounts) : accounts_(accounts) {
    REENACT_CHECK(accounts >= 2);
  }

  std::string name() const override {
    return "transfers, " + std::to_string(accounts_) + " accounts";
  }

  Module module() const override {
    auto module =
        MakeModule("transfers", "1", {MakeReducer(kAccount, Pay, TouchPayee)});
    REENACT_CHECK(module.ok());
    return *std::move(module);
  }

  std::unique_ptr<InputSource> Loading() const override {
    return GeneratedSource(
        accounts_, 0, [account = std::uint64_t{0}]() mutable {
          Input input;
          input.event = {kAccount, AccountKey(account++), "open",
                         PackRow(Payment{"", kOpening})};
          return input;
        });
  }

  std::unique_ptr<InputSource> Inputs(std::size_t count) const override {
    std::vector<Input> inputs(count);
    TransferDraw draw(accounts_);
    for (Input& input : inputs) {
      const Transfer transfer = draw.Next();
      input.event = {
          kAccount, AccountKey(transfer.from), "pay",
          PackRow(Payment{AccountKey(transfer.to), transfer.amount})};
    }
    return ReadySource(std::move(inputs), accounts_);
  }

  absl::Status Check(const World& world) const override {
    const std::vector<Account> expected =
        Expected(world.position() - accounts_);
    REENACT_ASSIGN_OR_RETURN(const auto found,
                             world.Scan(kAccount, "", "", accounts_ + 1));
    if (found.size() != accounts_) {
      return absl::DataLossError("there are " + std::to_string(found.size()) +
                                 " accounts");
    }
    std::int64_t total = 0;
    for (std::size_t i = 0; i < accounts_; ++i) {
      REENACT_ASSIGN_OR_RETURN(const Account account,
                               UnpackRow<Account>(found[i].second));
      REENACT_RETURN_IF_ERROR(Compare(found[i].first, account, expected[i]));
      total += account.balance;
    }
    if (total != kOpening * static_cast<std::int64_t>(accounts_)) {
      return absl::DataLossError("there is now as much money as " +
                                 std::to_string(total));
    }
    return absl::OkStatus();
  }

 private:
  // What the first `count` inputs lead to, in whatever order.
  std::vector<Account> Expected(std::size_t count) const {
    std::vector<Account> accounts(accounts_, Account{kOpening, 0});
    TransferDraw draw(accounts_);
    for (std::size_t i = 0; i < count; ++i) {
      const Transfer transfer = draw.Next();
      accounts[transfer.from].balance -= transfer.amount;
      ++accounts[transfer.from].sent;
      accounts[transfer.to].balance += transfer.amount;
    }
    return accounts;
  }

  static absl::Status Compare(const std::string& key, const Account& found,
                              const Account& expected) {
    if (found.balance == expected.balance && found.sent == expected.sent) {
      return absl::OkStatus();
    }
    return absl::DataLossError("account " + key + " has " +
                               std::to_string(found.balance) + " after " +
                               std::to_string(found.sent) + " payments, not " +
                               std::to_string(expected.balance) + " after " +
                               std::to_string(expected.sent));
  }

  const std::uint32_t accounts_;
};

}  // namespace

std::unique_ptr<Workload> NewTransfers(std::uint32_t accounts) {
  return std::make_unique<Transfers>(accounts);
}

}  // namespace reenact::bench
