// From rows to a world's inputs.

#ifndef REENACT_TOOLS_REENACT_FEED_H_
#define REENACT_TOOLS_REENACT_FEED_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "reenact/kernel/cbor_value.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/status.h"
#include "reenact/kernel/world.h"
#include "tools/reenact/rows.h"

namespace reenact::tools {

// Every row becomes one event for `reducer`, with the row as payload and the
// text in field `key` as key.
InputMapper RowIsPayload(std::string reducer, std::string key);

// Every row is an event: a map of reducer, key and payload, and where wanted
// schema, id (the submission id), priority and time.
InputMapper RowIsEvent();
// Whether a row looks like one.
bool IsEventRow(const cbor::Value& row);

// OK if a world of `config` takes `input`; InvalidArgument says what it has
// against it.
absl::Status CheckInput(const Input& input, const WorldConfig& config);

// The rows of a file, mapped, as a world pulls them.
//
// Thread safety: none.
class FeedSource final : public InputSource {
 public:
  struct Options {
    InputMapper mapper;
    WorldConfig config;       // what inputs are checked against
    std::uint64_t after = 0;  // rows up to this number are passed over
    std::uint64_t limit = 0;  // rows to deliver; 0: all
    // Called for each row that is delivered; an error ends the feeding.
    std::function<absl::Status()> on_row;
  };

  FeedSource(std::unique_ptr<RowReader> rows, Options options);

  absl::StatusOr<bool> Next(std::vector<Input>* row) override;

  // Rows delivered, and rows passed over because the world had them.
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t skipped() const { return skipped_; }
  const RowReader& rows() const { return *rows_; }
  // OK, or the error that ended it, with its place.
  const absl::Status& status() const { return status_; }

 private:
  absl::StatusOr<bool> NextOrError(std::vector<Input>* row);
  absl::StatusOr<bool> SkipKnownRows();
  absl::Status Map(const cbor::Value& value, std::vector<Input>* row) const;

  std::unique_ptr<RowReader> rows_;
  Options options_;
  std::uint64_t delivered_ = 0;
  std::uint64_t skipped_ = 0;
  absl::Status status_;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_FEED_H_
