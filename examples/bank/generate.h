// Transfers out of a seed, for demonstrations, tests and benchmarks.

#ifndef REENACT_EXAMPLES_BANK_GENERATE_H_
#define REENACT_EXAMPLES_BANK_GENERATE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "examples/bank/bank.h"
#include "reenact/kernel/event.h"

namespace reenact::examples {

struct BankWorkload {
  BankVariant variant = BankVariant::kDeclared;
  std::uint64_t accounts = 100;  // at least 2
  std::uint64_t transfers = 1000;
  std::uint64_t seed = 0;

  std::int64_t opening = 1000;    // put into each account at first
  std::int64_t amount_max = 100;  // transfers move 1 to this
  // How many parties of a hundred are one of the first kHotAccounts, beside
  // those that are so by chance. 100 gives all the contention there can be.
  std::uint64_t hot_percent = 0;
};

inline constexpr std::uint64_t kHotAccounts = 4;

// One line of a workload; `to` is empty for an opening deposit.
struct BankOperation {
  std::string account;
  std::string to;
  std::int64_t amount = 0;
};

// Calls `visit` for each operation, deposits first. A workload's operations are
// the same on every machine; more transfers only add to the end.
void VisitOperations(const BankWorkload& workload,
                     const std::function<void(const BankOperation&)>& visit);

// The operations as inputs, and as lines of JSON that the bank's mapper turns
// into the same inputs.
std::vector<Input> GenerateInputs(const BankWorkload& workload);
std::string JsonLine(BankVariant variant, const BankOperation& operation);
std::string GenerateJsonLines(const BankWorkload& workload);

}  // namespace reenact::examples

#endif  // REENACT_EXAMPLES_BANK_GENERATE_H_
