// Any bytes as a file of events, in each format: it does not matter how the
// bytes arrive, rows are canonical, and an error names its place.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tests/fuzz/targets.h"
#include "tools/reenact/input_file.h"
#include "tools/reenact/json.h"
#include "tools/reenact/rows.h"

namespace reenact::tools {
namespace {

// Bytes that arrive `step` at a time.
class Trickle final : public InputFile {
 public:
  Trickle(Bytes bytes, std::size_t step)
      : bytes_(std::move(bytes)), step_(step) {}

  const std::string& name() const override { return name_; }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  std::uint64_t consumed() const override { return begin_; }
  std::string_view buffered() const override {
    return std::string_view(bytes_).substr(begin_, end_ - begin_);
  }
  void Consume(std::size_t count) override {
    REENACT_CHECK(count <= end_ - begin_);
    begin_ += count;
  }
  absl::StatusOr<bool> FetchMore() override {
    const std::size_t before = end_;
    end_ = std::min(bytes_.size(), end_ + step_);
    return end_ != before;
  }

 private:
  const std::string name_ = "in";
  const Bytes bytes_;
  const std::size_t step_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct Row {
  std::uint64_t number;
  std::string place;
  Bytes payload;

  friend bool operator==(const Row&, const Row&) = default;
};

// Every row, and how it ended.
struct Rows {
  std::vector<Row> rows;
  absl::Status status;

  friend bool operator==(const Rows&, const Rows&) = default;
};

Rows ReadAll(Format format, std::unique_ptr<InputFile> file) {
  const auto reader = RowReader::Make(format, std::move(file));
  Rows all;
  std::uint64_t number = 0;
  while (true) {
    const auto row = reader->Next();
    all.status = row.status();
    if (!row.ok() || !row->has_value()) return all;
    REENACT_CHECK(reader->number() > number);
    number = reader->number();
    REENACT_CHECK(reader->place().starts_with("in:"));
    Bytes payload = (*row)->Encode();
    REENACT_CHECK(cbor::Validate(payload).ok());
    all.rows.push_back({number, reader->place(), std::move(payload)});
  }
}

// Whoever passes over the rows before it reads the same last row.
void LookAtSkipping(Format format, const Bytes& input, const Row& last) {
  const auto reader =
      RowReader::Make(format, InputFile::FromBytes("in", input));
  while (reader->number() + 1 < last.number) {
    const auto more = reader->Skip();
    REENACT_CHECK(more.ok() && *more);
  }
  const auto row = reader->Next();
  REENACT_CHECK(row.ok() && row->has_value());
  REENACT_CHECK(reader->number() == last.number);
  REENACT_CHECK((*row)->Encode() == last.payload);
}

// What JSON can say is said again as it was.
void LookAtJson(const Bytes& payload) {
  const std::string text = Dump(ToJson(payload));
  const auto again = ParseJson(text);
  REENACT_CHECK(again.ok() && again->Encode() == payload);
}

void LookAt(Format format, const Bytes& input) {
  const Rows all = ReadAll(format, InputFile::FromBytes("in", input));
  if (!all.status.ok()) {
    REENACT_CHECK(absl::IsInvalidArgument(all.status));
    REENACT_CHECK(ToStd(all.status.message()).starts_with("in:"));
  }
  // Byte by byte takes its time, so long ones come in larger pieces.
  const std::size_t step = input.size() <= 64 ? 1 : 61;
  REENACT_CHECK(ReadAll(format, std::make_unique<Trickle>(input, step)) == all);
  if (!all.rows.empty()) LookAtSkipping(format, input, all.rows.back());
  for (const Row& row : all.rows) {
    if (format == Format::kJsonl) {
      LookAtJson(row.payload);
    } else {
      Dump(ToJson(row.payload));
    }
  }
}

}  // namespace
}  // namespace reenact::tools

extern "C" int RowsFuzzOneInput(const std::uint8_t* data, std::size_t size) {
  using reenact::tools::Format;
  const reenact::Bytes input(reinterpret_cast<const char*>(data), size);
  for (const Format format :
       {Format::kJsonl, Format::kCsv, Format::kCborSeq, Format::kLines}) {
    reenact::tools::LookAt(format, input);
  }
  return 0;
}
