// A directory for one test, in memory where the machine has such a place: what
// a sync means is the harness's business there.

#ifndef REENACT_TESTS_CHAOS_SCRATCH_H_
#define REENACT_TESTS_CHAOS_SCRATCH_H_

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

namespace reenact {

class Scratch {
 public:
  Scratch() : path_(Place() + "/reenact-chaos-XXXXXX") {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }
  // A name that was not given before.
  std::string Fresh() { return path_ + "/" + std::to_string(++last_); }

 private:
  static std::string Place() {
    return ::access("/dev/shm", W_OK) == 0
               ? "/dev/shm"
               : std::filesystem::temp_directory_path().string();
  }

  std::string path_;
  int last_ = 0;
};

}  // namespace reenact

#endif  // REENACT_TESTS_CHAOS_SCRATCH_H_
