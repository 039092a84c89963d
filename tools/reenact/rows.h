// Rows of an input file, whatever its format.

#ifndef REENACT_TOOLS_REENACT_ROWS_H_
#define REENACT_TOOLS_REENACT_ROWS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/hash.h"
#include "tools/reenact/input_file.h"

namespace reenact::tools {

enum class Format {
  kJsonl,    // a JSON text per line; empty lines are passed over
  kCsv,      // RFC 4180 with a header; every field is a text
  kCborSeq,  // RFC 8742; items must be canonical
  kLines,    // {"line": TEXT}
};
// InvalidArgument: no such format.
absl::StatusOr<Format> ParseFormat(std::string_view name);
// By the extension of a path (.jsonl .ndjson .json .csv .cbor .cborseq .txt
// .log), or nothing.
std::optional<Format> FormatOfPath(std::string_view path);

// Reads rows one by one. LF and CRLF both end a line, the last line needs
// neither, and a byte order mark at the beginning is passed over.
//
// Errors name the place: "FILE:LINE: what". InvalidArgument: a malformed row,
// or one beyond kRecordBytesMax. Others: what reading the file said.
//
// Thread safety: none.
class RowReader {
 public:
  static std::unique_ptr<RowReader> Make(Format format,
                                         std::unique_ptr<InputFile> file);
  virtual ~RowReader() = default;

  // The next row; nullopt at the end.
  virtual absl::StatusOr<std::optional<cbor::Value>> Next() = 0;
  // Passes over the next row without looking into it (jsonl: the next line,
  // even an empty one); false at the end.
  virtual absl::StatusOr<bool> Skip() = 0;

  // Of the row that was read last: its number, which grows from row to row and
  // depends on the file alone (jsonl and lines: the line; csv: the record, from
  // 1 after the header; cborseq: the item), and its place, "FILE:LINE".
  virtual std::uint64_t number() const = 0;
  virtual std::string place() const = 0;

  // Of all that was read up to the end of that row, with LF for the end of each
  // line and without the byte order mark: `b2sum -l 256` of such a file.
  virtual const Hasher& content() const = 0;

  virtual const InputFile& file() const = 0;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_ROWS_H_
