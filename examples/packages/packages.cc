#include "examples/packages/packages.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "examples/support/row.h"
#include "examples/support/time.h"

namespace reenact::examples {
namespace {

using cbor::Value;

constexpr std::string_view kStatusSchema = "dpkg.status";
constexpr std::string_view kActionSchema = "dpkg.action";
constexpr std::string_view kNoVersion = "<none>";

constexpr std::array<std::string_view, 8> kStatuses = {
    "not-installed",   "config-files",     "half-installed",   "unpacked",
    "half-configured", "triggers-awaited", "triggers-pending", "installed"};
constexpr std::array<std::string_view, 5> kActions = {
    "install", "upgrade", "remove", "purge", "disappear"};
constexpr std::array<std::string_view, 2> kIgnoredActions = {"configure",
                                                             "trigproc"};

template <std::size_t N>
bool Contains(const std::array<std::string_view, N>& list,
              std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Value NewPackage() {
  return Value::Map({{"status", "not-installed"},
                     {"version", Value()},
                     {"installs", 0},
                     {"upgrades", 0},
                     {"removes", 0},
                     {"events", 0}});
}

void CountOne(Value& state, std::string_view field) {
  state.Set(field, state.GetInteger(field).value_or(0) + 1);
}

absl::Status ApplyStatus(const Value& payload, Value& state) {
  REENACT_ASSIGN_OR_RETURN(const std::string_view status,
                           payload.GetText("status"));
  const Value* version = payload.Find("version");
  if (version == nullptr) {
    return absl::InvalidArgumentError("a status without a version");
  }
  state.Set("status", status);
  state.Set("version", *version);
  return absl::OkStatus();
}

absl::Status ApplyAction(const Value& payload, Value& state) {
  REENACT_ASSIGN_OR_RETURN(const std::string_view action,
                           payload.GetText("action"));
  if (action == "install") CountOne(state, "installs");
  if (action == "upgrade") CountOne(state, "upgrades");
  if (action == "remove" || action == "disappear") CountOne(state, "removes");
  return absl::OkStatus();
}

std::vector<std::string_view> SplitAtBlanks(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

absl::Status LineError(std::string_view what) {
  return absl::InvalidArgumentError("no line of dpkg's log: " +
                                    std::string(what));
}

Event PackageEvent(std::string_view package, std::string_view schema,
                   const Value& payload) {
  return Event{.reducer = "package",
               .key = std::string(package),
               .schema = std::string(schema),
               .payload = payload.Encode()};
}

// words: DATE TIME status STATE PACKAGE VERSION
absl::StatusOr<std::optional<Event>> StatusEvent(
    const std::vector<std::string_view>& words) {
  if (words.size() != 6) return LineError("a status line has 6 words");
  if (!Contains(kStatuses, words[3])) {
    return LineError("unknown status '" + std::string(words[3]) + "'");
  }
  const Value version = words[5] == kNoVersion ? Value() : Value(words[5]);
  return PackageEvent(words[4], kStatusSchema,
                      Value::Map({{"status", words[3]}, {"version", version}}));
}

// words: DATE TIME ACTION PACKAGE INSTALLED-VERSION AVAILABLE-VERSION
absl::StatusOr<std::optional<Event>> ActionEvent(
    const std::vector<std::string_view>& words) {
  if (words.size() != 6) {
    return LineError("a line with an action has 6 words");
  }
  if (Contains(kIgnoredActions, words[2])) return std::optional<Event>();
  return PackageEvent(words[3], kActionSchema,
                      Value::Map({{"action", words[2]}}));
}

absl::StatusOr<std::optional<Event>> EventOfWords(
    const std::vector<std::string_view>& words) {
  const std::string_view what = words[2];
  if (what == "startup" || what == "conffile") return std::optional<Event>();
  if (what == "status") return StatusEvent(words);
  if (Contains(kActions, what) || Contains(kIgnoredActions, what)) {
    return ActionEvent(words);
  }
  return LineError("unknown action '" + std::string(what) + "'");
}

absl::StatusOr<LogicalTime> TimeOfWords(
    const std::vector<std::string_view>& words) {
  if (words.size() < 3) return LineError("fewer than 3 words");
  std::string text(words[0]);
  text += ' ';
  text += words[1];
  const absl::StatusOr<LogicalTime> time = ParseTime(text);
  if (time.ok()) return time;
  return LineError(ToStd(time.status().message()));
}

}  // namespace

absl::Status PackageReducer::Step(StepContext& step) const {
  REENACT_ASSIGN_OR_RETURN(const Value payload, Value::Parse(step.payload()));
  Value state = NewPackage();
  if (const std::optional<BytesView> bytes = step.state()) {
    REENACT_ASSIGN_OR_RETURN(state, Value::Parse(*bytes));
  }
  if (step.event().schema == kStatusSchema) {
    REENACT_RETURN_IF_ERROR(ApplyStatus(payload, state));
  } else if (step.event().schema == kActionSchema) {
    REENACT_RETURN_IF_ERROR(ApplyAction(payload, state));
  } else {
    return absl::InvalidArgumentError("unknown event " +
                                      std::string(step.event().schema));
  }
  CountOne(state, "events");
  step.SetState(state.Encode());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Input>> MapPackageRow(const cbor::Value& row) {
  REENACT_ASSIGN_OR_RETURN(const std::optional<std::string> line,
                           OptionalText(row, "line"));
  if (!line) return std::vector<Input>{};
  const std::vector<std::string_view> words = SplitAtBlanks(*line);
  if (words.empty()) return std::vector<Input>{};
  Input input;
  REENACT_ASSIGN_OR_RETURN(input.time, TimeOfWords(words));
  REENACT_ASSIGN_OR_RETURN(std::optional<Event> event, EventOfWords(words));
  if (!event) return std::vector<Input>{};
  input.event = *std::move(event);
  return std::vector<Input>{std::move(input)};
}

}  // namespace reenact::examples
