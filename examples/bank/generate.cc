#include "examples/bank/generate.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/kernel/rng.h"

namespace reenact::examples {
namespace {

std::string AccountName(std::uint64_t number) {
  return "account-" + std::to_string(number);
}

std::uint64_t DrawParty(const BankWorkload& workload, Rng& rng) {
  const bool hot = rng.Chance(workload.hot_percent, 100);
  const std::uint64_t hot_accounts = std::min(kHotAccounts, workload.accounts);
  return rng.Below(hot ? hot_accounts : workload.accounts);
}

BankOperation DrawTransfer(const BankWorkload& workload, Rng& rng) {
  const std::uint64_t from = DrawParty(workload, rng);
  std::uint64_t to = DrawParty(workload, rng);
  while (to == from) to = DrawParty(workload, rng);
  return {AccountName(from), AccountName(to),
          rng.Between(1, workload.amount_max)};
}

Event EventOf(BankVariant variant, const BankOperation& operation) {
  if (operation.to.empty()) {
    return OpenAccount(variant, operation.account, operation.amount);
  }
  return Transfer(variant, operation.account, operation.to, operation.amount);
}

// "declared", without "bank." before it.
std::string_view VariantName(BankVariant variant) {
  std::string_view name = BankReducerName(variant);
  name.remove_prefix(name.find('.') + 1);
  return name;
}

}  // namespace

void VisitOperations(const BankWorkload& workload,
                     const std::function<void(const BankOperation&)>& visit) {
  REENACT_CHECK(workload.accounts >= 2);
  REENACT_CHECK(workload.amount_max >= 1);
  REENACT_CHECK(workload.hot_percent <= 100);
  for (std::uint64_t i = 0; i < workload.accounts; ++i) {
    visit({AccountName(i), "", workload.opening});
  }
  Rng rng(Seed{workload.seed});
  for (std::uint64_t i = 0; i < workload.transfers; ++i) {
    visit(DrawTransfer(workload, rng));
  }
}

std::vector<Input> GenerateInputs(const BankWorkload& workload) {
  std::vector<Input> inputs;
  inputs.reserve(workload.accounts + workload.transfers);
  VisitOperations(workload, [&](const BankOperation& operation) {
    Input input;
    input.event = EventOf(workload.variant, operation);
    inputs.push_back(std::move(input));
  });
  return inputs;
}

// Account names are letters, digits and '-', so nothing needs escaping.
std::string JsonLine(BankVariant variant, const BankOperation& operation) {
  std::string line = R"({"op":")";
  line += operation.to.empty() ? "open" : "transfer";
  line += R"(","account":")" + operation.account;
  if (!operation.to.empty()) line += R"(","to":")" + operation.to;
  line += R"(","amount":)" + std::to_string(operation.amount);
  line += R"(,"variant":")";
  line += VariantName(variant);
  line += "\"}\n";
  return line;
}

std::string GenerateJsonLines(const BankWorkload& workload) {
  std::string lines;
  VisitOperations(workload, [&](const BankOperation& operation) {
    lines += JsonLine(workload.variant, operation);
  });
  return lines;
}

}  // namespace reenact::examples
