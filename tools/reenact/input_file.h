// Bytes of an input: a file, or standard input.

#ifndef REENACT_TOOLS_REENACT_INPUT_FILE_H_
#define REENACT_TOOLS_REENACT_INPUT_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"

namespace reenact::tools {

// The most bytes that one record of an input may have. Rows become payloads,
// which a world bounds far below this; it is here to bound memory.
inline constexpr std::size_t kRecordBytesMax = 16 << 20;

// Reads ahead into a buffer that callers look at and consume.
//
// Thread safety: none.
class InputFile {
 public:
  // `path` may be "-". `stopped` is asked while a pipe is silent; if it says
  // true and nothing comes for a second, reading fails with Cancelled.
  // Unavailable: there is no such file, or it is a directory.
  static absl::StatusOr<std::unique_ptr<InputFile>> Open(
      const std::string& path, std::function<bool()> stopped = nullptr);
  // For tests: bytes that are there already.
  static std::unique_ptr<InputFile> FromBytes(std::string name, Bytes bytes);

  // All of a file that may have `size_max` bytes. InvalidArgument: it has more.
  // Others: as Open() and FetchMore() say.
  static absl::StatusOr<Bytes> ReadAll(const std::string& path,
                                       std::size_t size_max);

  virtual ~InputFile() = default;

  // How messages call it: the path, or "stdin".
  virtual const std::string& name() const = 0;
  // In bytes, if it is known.
  virtual std::optional<std::uint64_t> size() const = 0;
  virtual std::uint64_t consumed() const = 0;

  // What has been read and not consumed. Views end with the next call of
  // FetchMore() or Consume().
  virtual std::string_view buffered() const = 0;
  virtual void Consume(std::size_t count) = 0;
  // Reads more; false at the end.
  virtual absl::StatusOr<bool> FetchMore() = 0;
};

// What a world calls the file at `path`, or "-", if nobody says otherwise: its
// name without directories, which differ from machine to machine; "stdin" for
// what has none.
std::string SourceNameOf(const std::string& path);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_INPUT_FILE_H_
