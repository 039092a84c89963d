#include "ycsb.h"

#include <algorithm>
#include <array>
#include <set>
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

constexpr const char* kRecord = "record";
constexpr std::size_t kOperations = 10;
constexpr std::uint64_t kReadPercent = 80;
constexpr std::size_t kTextBytes = 90;  // with the numbers about 100 bytes

struct Record {
  std::int64_t updates = 0;
  std::int64_t written_by = 0;  // the number of the transaction, from 1
  std::int64_t seen = 0;        // updates of the records it read before
  std::string text;
  static auto Fields(auto& row) {
    return std::tie(row.updates, row.written_by, row.seen, row.text);
  }
};

struct Operation {
  std::int64_t updates = 0;  // 1: an update; 0: a read
  std::string key;
  static auto Fields(auto& row) { return std::tie(row.updates, row.key); }
};

struct Transaction {
  std::int64_t number = 0;  // 0: the record is inserted
  std::vector<Operation> operations;
  static auto Fields(auto& row) { return std::tie(row.number, row.operations); }
};

// The text of a record as of a transaction: what an update replaces.
std::string TextBy(std::int64_t number) {
  return std::string(kTextBytes, static_cast<char>('a' + number % 26));
}

absl::Status Run(StepContext& step) {
  REENACT_ASSIGN_OR_RETURN(const Transaction transaction,
                           UnpackRow<Transaction>(step.payload()));
  if (transaction.number == 0) {
    step.SetState(PackRow(Record{0, 0, 0, TextBy(0)}));
    return absl::OkStatus();
  }
  std::int64_t seen = 0;
  for (const Operation& operation : transaction.operations) {
    const auto state = step.Read(kRecord, operation.key);
    if (!state) return absl::NotFoundError("there is no such record");
    REENACT_ASSIGN_OR_RETURN(Record record, UnpackRow<Record>(*state));
    if (operation.updates == 0) {
      seen += record.updates;
      continue;
    }
    ++record.updates;
    record.written_by = transaction.number;
    record.seen = seen;
    record.text = TextBy(transaction.number);
    step.Write(kRecord, operation.key, PackRow(record));
  }
  return absl::OkStatus();
}

void TouchRecords(const EventView& event, TouchSet& touches) {
  const auto transaction = UnpackRow<Transaction>(event.payload);
  if (!transaction.ok()) return;
  for (const Operation& operation : transaction->operations) {
    if (operation.updates != 0) {
      touches.Writes(kRecord, operation.key);
    } else {
      touches.Reads(kRecord, operation.key);
    }
  }
}

std::string RecordKey(std::uint64_t record) { return Digits(record, 8); }

// The transactions of a run, in order.
class TransactionDraw {
 public:
  explicit TransactionDraw(const Zipf& zipf) : zipf_(zipf) {}

  Transaction Next() {
    Transaction transaction;
    transaction.number = ++number_;
    std::set<std::uint32_t> drawn;
    while (drawn.size() < kOperations) {
      const std::uint32_t record = zipf_.Draw(rng_);
      if (!drawn.insert(record).second) continue;
      transaction.operations.push_back(
          {rng_.Chance(kReadPercent, 100) ? 0 : 1, RecordKey(record)});
    }
    return transaction;
  }

 private:
  const Zipf& zipf_;
  std::int64_t number_ = 0;
  Rng rng_{Seed{20100610}};
};

class Ycsb final : public Workload {
 public:
  explicit Ycsb(const YcsbOptions& options)
      : options_(options), zipf_(options.records, options.zipf_tenths / 10.0) {
    REENACT_CHECK(options.records >= kOperations);
  }

  std::string name() const override {
    const std::uint32_t tenths = options_.zipf_tenths;
    return "ycsb, zipf " + std::to_string(tenths / 10) +
           (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10));
  }

  Module module() const override {
    auto module =
        MakeModule("ycsb", "1", {MakeReducer(kRecord, Run, TouchRecords)});
    REENACT_CHECK(module.ok());
    return *std::move(module);
  }

  std::unique_ptr<InputSource> Loading() const override {
    return GeneratedSource(options_.records, 0,
                           [record = std::uint64_t{0}]() mutable {
                             Input input;
                             input.event = {kRecord, RecordKey(record++),
                                            "insert", PackRow(Transaction{})};
                             return input;
                           });
  }

  std::unique_ptr<InputSource> Inputs(std::size_t count) const override {
    std::vector<Input> inputs(count);
    TransactionDraw draw(zipf_);
    for (Input& input : inputs) {
      const Transaction transaction = draw.Next();
      input.event = {kRecord, transaction.operations.front().key, "run",
                     PackRow(transaction)};
    }
    return ReadySource(std::move(inputs), options_.records);
  }

  absl::Status Check(const World& world) const override {
    const std::vector<Updates> expected =
        Expected(world.position() - options_.records);
    REENACT_ASSIGN_OR_RETURN(const auto found,
                             world.Scan(kRecord, "", "", options_.records + 1));
    if (found.size() != options_.records) {
      return absl::DataLossError("there are " + std::to_string(found.size()) +
                                 " records");
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      REENACT_ASSIGN_OR_RETURN(const Record record,
                               UnpackRow<Record>(found[i].second));
      REENACT_RETURN_IF_ERROR(
          Annotate(Compare(record, expected[i]), "record " + found[i].first));
    }
    return absl::OkStatus();
  }

 private:
  using Updates = std::vector<std::int64_t>;  // numbers of transactions

  std::vector<Updates> Expected(std::size_t count) const {
    std::vector<Updates> updates(options_.records);
    TransactionDraw draw(zipf_);
    for (std::size_t i = 0; i < count; ++i) {
      const Transaction transaction = draw.Next();
      for (const Operation& operation : transaction.operations) {
        if (operation.updates == 0) continue;
        updates[std::stoul(operation.key)].push_back(transaction.number);
      }
    }
    return updates;
  }

  static absl::Status Compare(const Record& record, const Updates& expected) {
    if (record.updates != static_cast<std::int64_t>(expected.size())) {
      return absl::DataLossError(
          "it was updated " + std::to_string(record.updates) + " times, not " +
          std::to_string(expected.size()));
    }
    const bool by_one_of_them =
        expected.empty() ? record.written_by == 0
                         : std::binary_search(expected.begin(), expected.end(),
                                              record.written_by);
    if (!by_one_of_them || record.text != TextBy(record.written_by)) {
      return absl::DataLossError("it has what transaction " +
                                 std::to_string(record.written_by) +
                                 " cannot have written");
    }
    return absl::OkStatus();
  }

  const YcsbOptions options_;
  const Zipf zipf_;
};

}  // namespace

std::unique_ptr<Workload> NewYcsb(const YcsbOptions& options) {
  return std::make_unique<Ycsb>(options);
}

}  // namespace reenact::bench
