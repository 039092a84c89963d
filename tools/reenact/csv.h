// One record of a CSV file (RFC 4180), line by line.

#ifndef REENACT_TOOLS_REENACT_CSV_H_
#define REENACT_TOOLS_REENACT_CSV_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/status.h"

namespace reenact::tools {

// A record grows by lines until it is complete: a quoted field may hold line
// ends. Line ends within a field come out as "\n".
class CsvRecord {
 public:
  // `line` has no line end. InvalidArgument: a quote where none may be; the
  // message names the field, from 1. REQUIRES: !complete().
  absl::Status AddLine(std::string_view line);

  // At least one line was added, and no quoted field is open.
  bool complete() const { return complete_; }
  std::vector<std::string> TakeFields() && { return std::move(fields_); }

 private:
  // Each consumes its part of `line`.
  absl::Status Plain(std::string_view* line);
  absl::Status Quoted(std::string_view* line);
  absl::Status Wrong(std::string_view what) const;

  std::vector<std::string> fields_;
  bool in_quotes_ = false;
  bool complete_ = false;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_CSV_H_
