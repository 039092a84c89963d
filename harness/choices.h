// Everything that a run leaves to chance, as one sequence of numbers that can
// be written down and had again.

#ifndef REENACT_HARNESS_CHOICES_H_
#define REENACT_HARNESS_CHOICES_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/harness/dice.h"

namespace reenact::harness {

// One number that was drawn.
struct Choice {
  std::uint32_t value = 0;
  std::uint32_t bound = 0;  // it was below this
  std::uint32_t site = 0;   // SiteHash() of where
};

// What a run drew, in order. 0 always is the plainest value: go on with the
// same task, no fault, the smallest size; so a log that ends too early is a
// run that goes on as plainly as can be.
using ChoiceLog = std::vector<Choice>;

// The same in memory that another process reads, for a run that ends its own.
struct ChoiceMirror {
  std::atomic<std::uint64_t> size{0};
  std::uint64_t capacity = 0;
  Choice* draws = nullptr;

  void Add(const Choice& choice) {
    const std::uint64_t at = size.load(std::memory_order_relaxed);
    if (at < capacity) draws[at] = choice;
    size.store(at + 1, std::memory_order_release);
  }
};

std::uint32_t SiteHash(std::string_view site);

// A log as a short string of letters and digits: values other than 0 with the
// lengths of the runs of zeros between them, and a check of all bounds and
// sites.
std::string EncodeLog(const ChoiceLog& log);

struct Script;
// What follows all of a log.
Script ScriptOf(const ChoiceLog& log);
// The same of a script that was taken from a log.
std::string EncodeScript(const Script& script);

// A log that is to be followed.
struct Script {
  std::vector<std::uint32_t> values;
  // Of the run that it was taken from; nullopt: it is nobody's log any more, so
  // nothing says that it fits (the shrinker's).
  std::optional<std::uint32_t> check;
  std::uint64_t length = 0;  // draws of that run
};
// InvalidArgument: no such string, or it was cut or mistyped.
absl::StatusOr<Script> DecodeLog(std::string_view text);

// The draws of one run: from a seed, or from a script.
//
//   Choices choices(seed);
//   const auto keys = 1 + choices.Below(8, "keys");
//
// Thread safety: none; tasks of one run take turns.
class Choices {
 public:
  explicit Choices(std::uint64_t seed) : dice_(seed) {}
  // Follows `script`; beyond its end everything is 0. A value that is not below
  // its bound is taken modulo that.
  explicit Choices(Script script) : dice_(0), script_(std::move(script)) {}

  // A number below `bound`, evenly; 0 is the plainest. `site` is a literal.
  // REQUIRES: bound > 0.
  std::uint32_t Below(std::uint32_t bound, std::string_view site);
  // True once in `one_in` times, on average.
  bool OneIn(std::uint32_t one_in, std::string_view site);
  // A number that is made elsewhere, by a strategy: `value` is logged; while a
  // script is followed, the script's number is returned instead.
  std::uint32_t Settle(std::uint32_t value, std::uint32_t bound,
                       std::string_view site);
  // Whether the numbers come from a script.
  bool follows() const { return script_.has_value(); }

  // Numbers that strategies draw for themselves; not logged. REQUIRES: bound >
  // 0.
  std::uint64_t Private(std::uint64_t bound) { return dice_.Below(bound); }

  // What is drawn from now on goes there, too. `mirror` outlives this.
  void CopyTo(ChoiceMirror* mirror) { mirror_ = mirror; }

  const ChoiceLog& log() const { return log_; }
  // After the run: OK, or what in it was not as in the run that the script was
  // taken from. FailedPrecondition: so the script says nothing about this
  // program.
  absl::Status Drift() const;

 private:
  Dice dice_;
  std::optional<Script> script_;
  ChoiceLog log_;
  ChoiceMirror* mirror_ = nullptr;
};

// A check of bounds and sites of a log.
std::uint32_t CheckOf(const ChoiceLog& log);

// As Choices::Drift(), of the log of a run that followed `script`.
absl::Status DriftOf(const Script& script, const ChoiceLog& log);

}  // namespace reenact::harness

#endif  // REENACT_HARNESS_CHOICES_H_
