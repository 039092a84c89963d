// Prints a workload of the bank example as lines of JSON:
//
//   bank_events --accounts 1000 --transfers 100000 |
//     reenact run --module bank --world /tmp/bank --events -

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <map>
#include <string>

#include "examples/bank/generate.h"

namespace {

using reenact::examples::BankOperation;
using reenact::examples::BankVariant;
using reenact::examples::BankWorkload;

int Print(const BankWorkload& workload) {
  bool written = true;
  reenact::examples::VisitOperations(
      workload, [&](const BankOperation& operation) {
        const std::string line =
            reenact::examples::JsonLine(workload.variant, operation);
        written = written && std::fwrite(line.data(), 1, line.size(), stdout) ==
                                 line.size();
      });
  if (written && std::fflush(stdout) == 0) return 0;
  std::perror("bank_events: standard output");
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  BankWorkload workload;
  CLI::App app("Prints transfers between bank accounts as lines of JSON.");
  app.option_defaults()->always_capture_default();
  app.add_option("--accounts", workload.accounts, "Accounts")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{1'000'000'000}));
  app.add_option("--transfers", workload.transfers, "Transfers");
  app.add_option("--seed", workload.seed, "Another seed, other transfers");
  app.add_option("--opening", workload.opening, "First deposit of each account")
      ->check(CLI::Range(std::int64_t{1}, reenact::examples::kBankAmountMax));
  app.add_option("--amount-max", workload.amount_max, "Largest transfer")
      ->check(CLI::Range(std::int64_t{1}, reenact::examples::kBankAmountMax));
  app.add_option("--hot", workload.hot_percent,
                 "Percentage of parties drawn from the first four accounts")
      ->check(CLI::Range(0, 100));
  const std::map<std::string, BankVariant> variants = {
      {"declared", BankVariant::kDeclared},
      {"undeclared", BankVariant::kUndeclared},
      {"events", BankVariant::kEvents}};
  app.add_option("--variant", workload.variant, "How transfers are made")
      ->transform(CLI::CheckedTransformer(variants))
      ->default_str("declared");
  CLI11_PARSE(app, argc, argv);
  return Print(workload);
}
