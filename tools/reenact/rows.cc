#include "tools/reenact/rows.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tools/reenact/csv.h"
#include "tools/reenact/json.h"

namespace reenact::tools {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

absl::Status TooLong(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(ToAbsl(what), " has more than ", kRecordBytesMax, " bytes"));
}

// What the readers share: the file and where it is.
class Reader : public RowReader {
 public:
  explicit Reader(std::unique_ptr<InputFile> file) : file_(std::move(file)) {}

  std::uint64_t number() const override { return number_; }
  std::string place() const override {
    return absl::StrCat(file_->name(), ":", line_);
  }
  const Hasher& content() const override { return content_; }
  const InputFile& file() const override { return *file_; }

 protected:
  // Marks the place on what the row itself has wrong.
  absl::Status Here(const absl::Status& status) const {
    return absl::IsInvalidArgument(status) ? Annotate(status, place()) : status;
  }

  // The next line without its end; nullopt at the end of the file. Valid until
  // the next call.
  absl::StatusOr<std::optional<std::string_view>> NextLine();

  std::unique_ptr<InputFile> file_;
  std::uint64_t number_ = 0;
  std::uint64_t line_ = 0;
  Hasher content_;

 private:
  std::size_t pending_ = 0;  // bytes of the last line, still in the buffer
};

absl::StatusOr<std::optional<std::string_view>> Reader::NextLine() {
  file_->Consume(std::exchange(pending_, 0));
  std::size_t end;
  std::size_t searched = 0;
  bool at_end = false;
  while ((end = file_->buffered().find('\n', searched)) ==
             std::string_view::npos &&
         !at_end) {
    searched = file_->buffered().size();
    if (searched > kRecordBytesMax) break;
    REENACT_ASSIGN_OR_RETURN(const bool more, file_->FetchMore());
    at_end = !more;
  }
  std::string_view line = file_->buffered().substr(0, end);
  if (at_end && line.empty()) return std::optional<std::string_view>();
  ++line_;
  if (line.size() > kRecordBytesMax) return Here(TooLong("the line"));
  pending_ = line.size() + (end == std::string_view::npos ? 0 : 1);
  if (line_ == 1 && line.substr(0, 3) == kByteOrderMark) line.remove_prefix(3);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  content_.Add(line).Add("\n");
  return std::optional<std::string_view>(line);
}

class LineReader final : public Reader {
 public:
  using Reader::Reader;

  absl::StatusOr<std::optional<cbor::Value>> Next() override {
    REENACT_ASSIGN_OR_RETURN(const auto line, NextLine());
    if (!line) return std::optional<cbor::Value>();
    number_ = line_;
    if (!cbor::IsUtf8(*line)) {
      return Here(absl::InvalidArgumentError("the line is not UTF-8"));
    }
    return std::optional(cbor::Value::Map({{"line", *line}}));
  }
  absl::StatusOr<bool> Skip() override {
    REENACT_ASSIGN_OR_RETURN(const auto line, NextLine());
    number_ = line_;
    return line.has_value();
  }
};

class JsonReader final : public Reader {
 public:
  using Reader::Reader;

  absl::StatusOr<std::optional<cbor::Value>> Next() override {
    REENACT_ASSIGN_OR_RETURN(const auto line, NextText());
    if (!line) return std::optional<cbor::Value>();
    auto value = ParseJson(*line);
    if (!value.ok()) return Here(value.status());
    return std::optional(*std::move(value));
  }
  absl::StatusOr<bool> Skip() override {
    REENACT_ASSIGN_OR_RETURN(const auto line, NextLine());
    number_ = line_;
    return line.has_value();
  }

 private:
  absl::StatusOr<std::optional<std::string_view>> NextText() {
    while (true) {
      REENACT_ASSIGN_OR_RETURN(const auto line, NextLine());
      number_ = line_;
      if (!line || line->find_first_not_of(" \t") != line->npos) return line;
    }
  }
};

class CsvRowReader final : public Reader {
 public:
  using Reader::Reader;

  absl::StatusOr<std::optional<cbor::Value>> Next() override {
    REENACT_ASSIGN_OR_RETURN(const bool more, Skip());
    if (!more) return std::optional<cbor::Value>();
    if (fields_.size() != names_.size()) {
      return Here(absl::InvalidArgumentError(
          absl::StrCat("the record has ", fields_.size(),
                       " fields and the header ", names_.size())));
    }
    cbor::Value row = cbor::Value::Map();
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (!cbor::IsUtf8(fields_[i])) {
        return Here(absl::InvalidArgumentError(
            absl::StrCat("field \"", names_[i], "\" is not UTF-8")));
      }
      row.Set(names_[i], cbor::Value(fields_[i]));
    }
    return std::optional(std::move(row));
  }

  absl::StatusOr<bool> Skip() override {
    if (names_.empty()) {
      REENACT_RETURN_IF_ERROR(ReadHeader());
      if (names_.empty()) return false;
    }
    REENACT_ASSIGN_OR_RETURN(const bool more, NextRecord());
    if (more) ++number_;
    return more;
  }

 private:
  absl::Status ReadHeader() {
    REENACT_ASSIGN_OR_RETURN(const bool more, NextRecord());
    if (!more) return absl::OkStatus();
    std::vector<std::string> sorted = fields_;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
      return Here(absl::InvalidArgumentError(
          absl::StrCat("the header has field \"", *twice, "\" twice")));
    }
    for (const std::string& name : fields_) {
      if (!name.empty() && cbor::IsUtf8(name)) continue;
      return Here(absl::InvalidArgumentError(
          "the header has a field without a name, or not in UTF-8"));
    }
    names_ = std::move(fields_);
    return absl::OkStatus();
  }

  // Reads records across line ends within quotes; passes over empty lines.
  absl::StatusOr<bool> NextRecord() {
    CsvRecord record;
    std::uint64_t first_line = 0;
    std::size_t size = 0;
    while (!record.complete()) {
      REENACT_ASSIGN_OR_RETURN(const auto line, NextLine());
      if (!line && first_line == 0) return false;
      if (!line) {
        line_ = first_line;
        return Here(absl::InvalidArgumentError(
            "the file ends within a quoted field that begins here"));
      }
      if (line->empty() && first_line == 0) continue;
      if (first_line == 0) first_line = line_;
      size += line->size() + 1;
      if (size > kRecordBytesMax) {
        line_ = first_line;
        return Here(TooLong("the record"));
      }
      REENACT_RETURN_IF_ERROR(Here(record.AddLine(*line)));
    }
    fields_ = std::move(record).TakeFields();
    return true;
  }

  std::vector<std::string> names_;
  std::vector<std::string> fields_;
};

class CborSeqReader final : public Reader {
 public:
  using Reader::Reader;

  std::string place() const override {
    return absl::StrCat(file_->name(), ":item ", number_, " (byte ", offset_,
                        ")");
  }

  absl::StatusOr<std::optional<cbor::Value>> Next() override {
    REENACT_ASSIGN_OR_RETURN(const auto item, NextItem());
    if (!item) return std::optional<cbor::Value>();
    auto value = cbor::Value::Parse(*item);
    if (!value.ok()) return Here(value.status());
    return std::optional(*std::move(value));
  }
  absl::StatusOr<bool> Skip() override {
    REENACT_ASSIGN_OR_RETURN(const auto item, NextItem());
    return item.has_value();
  }

 private:
  absl::StatusOr<std::optional<std::string_view>> NextItem() {
    file_->Consume(std::exchange(pending_, 0));
    offset_ = file_->consumed();
    ++number_;
    // An item that does not read may only be cut off, so the buffer doubles
    // before each further try.
    for (std::size_t wanted = 1;;) {
      REENACT_ASSIGN_OR_RETURN(const bool at_end, Fill(wanted));
      const std::string_view bytes = file_->buffered();
      if (bytes.empty()) {
        --number_;
        return std::optional<std::string_view>();
      }
      cbor::Reader reader(bytes);
      const std::string_view item = reader.Item();
      if (reader.ok()) {
        pending_ = item.size();
        content_.Add(item);
        return std::optional<std::string_view>(item);
      }
      if (at_end) return Here(reader.status());
      if (bytes.size() > kRecordBytesMax) {
        return Here(absl::InvalidArgumentError(
            absl::StrCat(reader.status().message(), ", and the item has ",
                         "more than ", kRecordBytesMax, " bytes")));
      }
      wanted = 2 * bytes.size();
    }
  }

  // Whether the file ended before `wanted` bytes were there.
  absl::StatusOr<bool> Fill(std::size_t wanted) {
    while (file_->buffered().size() < wanted) {
      REENACT_ASSIGN_OR_RETURN(const bool more, file_->FetchMore());
      if (!more) return true;
    }
    return false;
  }

  std::size_t pending_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace

absl::StatusOr<Format> ParseFormat(std::string_view name) {
  if (name == "jsonl") return Format::kJsonl;
  if (name == "csv") return Format::kCsv;
  if (name == "cborseq") return Format::kCborSeq;
  if (name == "lines") return Format::kLines;
  return absl::InvalidArgumentError(
      absl::StrCat("no format \"", ToAbsl(name),
                   "\": there are jsonl, csv, cborseq and lines"));
}

std::optional<Format> FormatOfPath(std::string_view path) {
  static constexpr std::array<std::pair<std::string_view, Format>, 8> kKnown = {
      {{".jsonl", Format::kJsonl},
       {".ndjson", Format::kJsonl},
       {".json", Format::kJsonl},
       {".csv", Format::kCsv},
       {".cbor", Format::kCborSeq},
       {".cborseq", Format::kCborSeq},
       {".txt", Format::kLines},
       {".log", Format::kLines}}};
  for (const auto& [extension, format] : kKnown) {
    if (path.ends_with(extension)) return format;
  }
  return std::nullopt;
}

std::unique_ptr<RowReader> RowReader::Make(Format format,
                                           std::unique_ptr<InputFile> file) {
  switch (format) {
    case Format::kJsonl:
      return std::make_unique<JsonReader>(std::move(file));
    case Format::kCsv:
      return std::make_unique<CsvRowReader>(std::move(file));
    case Format::kCborSeq:
      return std::make_unique<CborSeqReader>(std::move(file));
    case Format::kLines:
      break;
  }
  return std::make_unique<LineReader>(std::move(file));
}

}  // namespace reenact::tools
