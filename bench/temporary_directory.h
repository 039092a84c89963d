#ifndef REENACT_BENCH_TEMPORARY_DIRECTORY_H_
#define REENACT_BENCH_TEMPORARY_DIRECTORY_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "reenact/base/check.h"

namespace reenact::bench {

// A directory that is removed with what is in it. In `parent`; if that is empty
// in $TMPDIR, or else /tmp: what a durable figure means depends on the disk
// that this is on.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(std::filesystem::path parent = {}) {
    if (parent.empty()) parent = std::filesystem::temp_directory_path();
    std::string name = (parent / "reenact-bench-XXXXXX").string();
    REENACT_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_TEMPORARY_DIRECTORY_H_
