// Accounts, and money that moves between them in three ways.
//
// Each way is a reducer with accounts of its own, so that the same transfers
// can be compared under each:
//
//   bank.declared    writes both accounts, and says so beforehand
//   bank.undeclared  writes both accounts, and is found out at commit
//   bank.events      writes its own account, and raises a credit for the other
//
// A cell is an account: {"balance": N, "moves": N}. It exists once money has
// arrived; before that it holds 0.
//
// Events: "bank.open" {"amount"} puts money in from outside; "bank.transfer"
// {"to", "amount"} goes to the account that pays; "bank.credit" {"amount"} is
// what a transfer of bank.events raises.
//
// Invariant: the sum of all balances, and of credits on their way, is the sum
// of the opening deposits that committed.

#ifndef REENACT_EXAMPLES_BANK_BANK_H_
#define REENACT_EXAMPLES_BANK_BANK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/reducer.h"

namespace reenact::examples {

enum class BankVariant { kDeclared, kUndeclared, kEvents };

// "bank.declared"
std::string_view BankReducerName(BankVariant variant);
// Of "declared", "undeclared" or "events"; else InvalidArgument.
absl::StatusOr<BankVariant> ParseBankVariant(std::string_view name);

// Amounts are positive and at most this, so that no sum of balances that fits
// on a disk leaves 64 bits.
inline constexpr std::int64_t kBankAmountMax = 1'000'000'000'000;

// A step of any of the three fails with
//   InvalidArgument: amount out of range, transfer to oneself, unknown event
//   FailedPrecondition: the account does not hold the amount
std::shared_ptr<const Reducer> MakeBankReducer(BankVariant variant);
std::vector<std::shared_ptr<const Reducer>> MakeBankReducers();

Event OpenAccount(BankVariant variant, std::string account,
                  std::int64_t amount);
Event Transfer(BankVariant variant, std::string from, std::string_view to,
               std::int64_t amount);

// {"op": "open", "account", "amount"} or
// {"op": "transfer", "account", "to", "amount"}, both with "variant" if it is
// not "declared".
absl::StatusOr<std::vector<Input>> MapBankRow(const cbor::Value& row);

// What an account's state holds; InvalidArgument: it is no account's.
absl::StatusOr<std::int64_t> BalanceOf(BytesView state);
// What an event carries if it is a credit on its way, else 0.
absl::StatusOr<std::int64_t> CreditOf(const Event& event);
// The sum over accounts: the check that nothing was made or lost.
absl::StatusOr<std::int64_t> TotalBalance(const std::vector<Bytes>& states);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_BANK_BANK_H_
