// From rows to a world's inputs.

#ifndef REENACT_TOOLS_REENACT_FEED_H_
#define REENACT_TOOLS_REENACT_FEED_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/module.h"
#include "reenact/kernel/source.h"
#include "reenact/world/world.h"
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

// What `mapper` makes of row `number`; InvalidArgument also if it throws.
absl::StatusOr<std::vector<Input>> MapRow(const InputMapper& mapper,
                                          const cbor::Value& row,
                                          std::uint64_t number);

// What one who is told that the rows are other ones can do.
inline constexpr std::string_view kOtherRows =
    "other rows need --append, or a --source NAME of their own";

// Passes over the rows up to `taken.position`. Whether they are what was taken
// in then: the file has so many, and `taken.digest`, unless it is not known.
// InvalidArgument: a row cannot even be passed over. Others: of reading.
absl::StatusOr<bool> BeginsWith(RowReader& rows, const SourceMark& taken);

// The rows of a file, mapped, as a world pulls them.
//
// Thread safety: none.
class FeedSource final : public InputSource {
 public:
  struct Options {
    InputMapper mapper;
    WorldConfig config;       // what inputs are checked against
    std::string name;         // of the source, for worlds that know names
    SourceMark taken;         // rows up to there are passed over
    std::uint64_t limit = 0;  // rows to deliver; 0: all
    // Called for each row that is delivered; an error ends the feeding.
    std::function<absl::Status()> on_row;
  };

  FeedSource(std::unique_ptr<RowReader> rows, Options options);

  // FailedPrecondition: the file is not the one that `taken` speaks of; see
  // differs().
  absl::StatusOr<bool> Next(std::vector<Input>* row) override;
  std::string_view name() const override { return options_.name; }
  Digest digest() const override { return Hasher(content_).Finish(); }

  // Rows delivered, and rows passed over because the world had them.
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t skipped() const { return skipped_; }
  const RowReader& rows() const { return *rows_; }
  // OK, or the error that ended it, with its place.
  const absl::Status& status() const { return status_; }
  // Whether a row had a time.
  bool timed() const { return timed_; }
  // Whether that is because the rows which the world had are other ones.
  bool differs() const { return differs_; }

 private:
  absl::StatusOr<bool> NextOrError(std::vector<Input>* row);
  absl::StatusOr<bool> SkipKnownRows();
  absl::Status Differs();
  absl::Status Map(const cbor::Value& value, std::vector<Input>* row);

  std::unique_ptr<RowReader> rows_;
  Options options_;
  std::uint64_t delivered_ = 0;
  std::uint64_t skipped_ = 0;
  Hasher content_;  // up to the end of the last row delivered
  bool compared_ = false;
  bool timed_ = false;
  bool differs_ = false;
  absl::Status status_;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_FEED_H_
