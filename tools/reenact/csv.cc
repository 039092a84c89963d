#include "tools/reenact/csv.h"

#include "absl/strings/str_cat.h"

namespace reenact::tools {

absl::Status CsvRecord::Wrong(std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat("field ", fields_.size(), ": ", ToAbsl(what)));
}

// Up to the next comma or the end of the line.
absl::Status CsvRecord::Plain(std::string_view* line) {
  const std::string_view field = line->substr(0, line->find(','));
  if (field.find('"') != field.npos) {
    return Wrong("a quote inside a field that does not begin with one");
  }
  if (field.find('\r') != field.npos) {
    return Wrong(
        "a carriage return that ends no line; lines end with LF or CRLF");
  }
  fields_.back().append(field);
  line->remove_prefix(field.size());
  return absl::OkStatus();
}

// Up to the closing quote, or to the end of the line if it is not on it.
absl::Status CsvRecord::Quoted(std::string_view* line) {
  while (true) {
    const std::size_t quote = line->find('"');
    fields_.back().append(line->substr(0, quote));
    if (quote == line->npos) {
      *line = {};
      return absl::OkStatus();
    }
    line->remove_prefix(quote + 1);
    if (line->empty() || line->front() != '"') break;
    fields_.back().push_back('"');  // two of them stand for one
    line->remove_prefix(1);
  }
  in_quotes_ = false;
  if (line->empty() || line->front() == ',') return absl::OkStatus();
  return Wrong("text after the closing quote");
}

absl::Status CsvRecord::AddLine(std::string_view line) {
  if (in_quotes_) {
    fields_.back().push_back('\n');
  } else {
    fields_.emplace_back();
  }
  while (true) {
    if (!in_quotes_ && !line.empty() && line.front() == '"') {
      in_quotes_ = true;
      line.remove_prefix(1);
    }
    REENACT_RETURN_IF_ERROR(in_quotes_ ? Quoted(&line) : Plain(&line));
    if (line.empty()) break;
    line.remove_prefix(1);  // the comma
    fields_.emplace_back();
  }
  complete_ = !in_quotes_;
  return absl::OkStatus();
}

}  // namespace reenact::tools
