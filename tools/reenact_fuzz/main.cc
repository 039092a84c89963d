// reenact-fuzz, which `reenact fuzz` becomes: a module and its events as a
// scenario of the harness.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/harness/program.h"
#include "reenact/harness/scenario.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/common.h"
#include "tools/reenact/feed.h"
#include "tools/reenact/input_file.h"
#include "tools/reenact/probes.h"
#include "tools/reenact/rows.h"

namespace reenact::tools {
namespace {

using harness::Case;
using harness::Client;
using harness::Scenario;

constexpr const char* kHelp =
    "Tests a module with real events, without a line of code: for "
    "determinism, independence of schedules, and safety in crashes.\n"
    "\n"
    "Each run makes a world of the module in memory, takes a stretch of the "
    "events, and feeds it, or lets clients submit it beside each other; who "
    "runs when is drawn, workers, sizes and faults are too. Everything is "
    "checked after each run. A failure comes with the string that gives it "
    "again, as small as it could be made, and the functions that the guilty "
    "step called.";

struct FuzzOptions {
  harness::ProgramOptions program;
  std::string module;
  std::string events;
  std::string format;
  std::string reducer;
  std::string key;
  std::string clock = "rounds";
  std::uint64_t limit = 10'000;
  std::uint32_t stretch = 24;
};

absl::StatusOr<Format> FormatOf(const FuzzOptions& options) {
  if (!options.format.empty()) return ParseFormat(options.format);
  return FormatOfPath(options.events).value_or(Format::kJsonl);
}

absl::StatusOr<ClockKind> ClockOf(const FuzzOptions& options) {
  if (options.clock == "rounds") return ClockKind::kRounds;
  if (options.clock == "input") return ClockKind::kInput;
  return absl::InvalidArgumentError(
      absl::StrCat("--clock ", options.clock, ": there are rounds and input"));
}

InputMapper MapperOf(const FuzzOptions& options, const Module& module) {
  if (!options.reducer.empty()) {
    return RowIsPayload(options.reducer, options.key);
  }
  return module.mapper ? module.mapper : RowIsEvent();
}

// All inputs of the file, up to the limit; each checked as a world would.
absl::StatusOr<std::vector<Input>> ReadInputs(const FuzzOptions& options,
                                              const Module& module,
                                              WorldConfig config) {
  REENACT_ASSIGN_OR_RETURN(const Format format, FormatOf(options));
  REENACT_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file,
                           InputFile::Open(options.events));
  config.modules = {module.record};
  config.reducers = module.record.reducers;
  FeedSource::Options feed;
  feed.mapper = MapperOf(options, module);
  feed.config = std::move(config);
  feed.limit = options.limit;
  FeedSource source(RowReader::Make(format, std::move(file)), std::move(feed));
  std::vector<Input> inputs;
  for (;;) {
    REENACT_ASSIGN_OR_RETURN(const bool more, source.Next(&inputs));
    if (!more) break;
  }
  if (inputs.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options.events, "' has no events"));
  }
  return inputs;
}

constexpr std::uint32_t kLongOneIn = 32;
constexpr std::uint32_t kLongTimes = 20;

// A stretch of the inputs, fed or submitted.
class ModuleScenario {
 public:
  ModuleScenario(Module module, WorldConfig config, std::vector<Input> inputs,
                 std::uint32_t stretch)
      : module_(std::move(module)),
        config_(std::move(config)),
        inputs_(std::move(inputs)),
        stretch_(static_cast<std::uint32_t>(
            std::min<std::size_t>(stretch, inputs_.size()))),
        long_stretch_(static_cast<std::uint32_t>(std::min<std::size_t>(
            std::uint64_t{stretch} * kLongTimes, inputs_.size()))) {}

  void SetUp(Case& run) const {
    run.UseModule(module_);
    run.config() = config_;
    const std::uint32_t clients = run.choices().Below(4, "fuzz.clients");
    // Now and then a long history: what goes wrong at an event in a hundred is
    // in none of the short ones.
    const std::uint32_t most =
        run.choices().OneIn(kLongOneIn, "fuzz.long") ? long_stretch_ : stretch_;
    const std::uint32_t count = 1 + run.choices().Below(most, "fuzz.count");
    const auto places = static_cast<std::uint32_t>(inputs_.size()) - count + 1;
    // From the beginning as often as not: later events may need earlier ones.
    const std::uint32_t from = run.choices().OneIn(2, "fuzz.later")
                                   ? run.choices().Below(places, "fuzz.from")
                                   : 0;
    const auto begin = inputs_.begin() + from;
    std::vector<Input> stretch(begin, begin + count);
    for (Input& input : stretch) input.position = 0;
    if (clients == 0) {
      run.Feed(std::move(stretch));
      return;
    }
    for (std::uint32_t i = 0; i < clients; ++i) {
      run.AddClient("client", [stretch, i, clients](Client& client) {
        SubmitEvery(client, stretch, i, clients);
      });
    }
  }

 private:
  // Each client has its share of the events, and its own submission ids.
  static void SubmitEvery(Client& client, const std::vector<Input>& stretch,
                          std::size_t from, std::size_t step) {
    for (std::size_t i = from; i < stretch.size(); i += step) {
      Input input = stretch[i];
      input.submission_id.clear();
      if (client.choices().OneIn(3, "fuzz.offers")) {
        (void)client.Offer(std::move(input));
      } else {
        (void)client.Submit(std::move(input));
      }
    }
  }

  const Module module_;
  const WorldConfig config_;
  const std::vector<Input> inputs_;
  const std::uint32_t stretch_;
  const std::uint32_t long_stretch_;
};

// Which functions of the machine the module's steps called.
Scenario::Calls Calls() {
  Scenario::Calls calls;
  for (const ProbeNote& note : TakeProbeNotes()) {
    absl::StrAppend(&calls.all, note.Text(), "\n");
    if (note.acts) absl::StrAppend(&calls.acts, note.Text(), "\n");
  }
  return calls;
}

std::string CommandOf(const FuzzOptions& options) {
  std::string command = absl::StrCat("reenact fuzz --module ", options.module,
                                     " --events ", options.events);
  if (!options.format.empty()) {
    absl::StrAppend(&command, " --format ", options.format);
  }
  if (!options.reducer.empty()) {
    absl::StrAppend(&command, " --reducer ", options.reducer, " --key ",
                    options.key);
  }
  if (options.clock != "rounds") {
    absl::StrAppend(&command, " --clock ", options.clock);
  }
  return command;
}

int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "reenact fuzz: %s\n",
               std::string(status.message()).c_str());
  return harness::kProblem;
}

int Fuzz(const FuzzOptions& options) {
  PrepareProbes();
  absl::StatusOr<std::vector<Module>> modules = LoadModules({options.module});
  if (!modules.ok()) return Refuse(modules.status());
  const absl::StatusOr<ClockKind> clock = ClockOf(options);
  if (!clock.ok()) return Refuse(clock.status());
  WorldConfig config;
  config.clock = *clock;
  SetIdentity(0, config);
  absl::StatusOr<std::vector<Input>> inputs =
      ReadInputs(options, modules->front(), config);
  if (!inputs.ok()) {
    const int code = Refuse(inputs.status());
    // What the system says of the file has the code that `run` has for it.
    const bool bad = absl::IsInvalidArgument(inputs.status());
    return bad ? code : static_cast<int>(ExitCode::kSystem);
  }
  const std::string name = modules->front().record.name;
  std::printf("module %s, %zu events of %s\n", name.c_str(), inputs->size(),
              options.events.c_str());
  const ModuleScenario fuzz(std::move(modules->front()), config,
                            *std::move(inputs), options.stretch);
  const Scenario scenario{name, [&fuzz](Case& run) { fuzz.SetUp(run); },
                          ObserveStep, Calls};
  return harness::RunProgram(scenario, options.program, CommandOf(options));
}

int Main(int argc, char** argv) {
  CLI::App app(kHelp, "reenact fuzz");
  FuzzOptions options;
  options.program.arguments.assign(argv, argv + argc);
  app.option_defaults()->always_capture_default();
  app.add_option("-m,--module", options.module,
                 "Module: NAME, or a path with a '/'")
      ->required();
  app.add_option("-e,--events", options.events,
                 "File with events, as for `reenact run`")
      ->required();
  app.add_option("--format", options.format,
                 "jsonl, csv, cborseq or lines; by extension if empty");
  auto* const reducer = app.add_option("--reducer", options.reducer,
                                       "Rows are payloads for this reducer");
  app.add_option("--key", options.key, "The field with the cell's key")
      ->needs(reducer);
  app.add_option("--clock", options.clock, "Logical time: rounds or input");
  app.add_option("--limit", options.limit, "Rows to read at most")
      ->check(Whole(1, std::uint64_t{1} << 30));
  app.add_option("--stretch", options.stretch,
                 "Events of a run at most; twenty times as many in one run of "
                 "thirty-two")
      ->check(Whole(1, 100'000));
  harness::AddOptions(app, &options.program);
  app.footer(harness::ProgramFooter(
                 "reenact fuzz --module counter --events clicks.jsonl") +
             " 9: the events cannot\nbe read.");
  if (const auto ended = ParseCommandLine(app, argc, argv)) {
    return static_cast<int>(*ended);
  }
  return Fuzz(options);
}

}  // namespace
}  // namespace reenact::tools

int main(int argc, char** argv) {
  try {
    return reenact::tools::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "reenact fuzz: %s\n", error.what());
    return reenact::harness::kProblem;
  }
}
