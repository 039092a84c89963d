// `reenact run`: feeds a file to a world.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "reenact/journal/archive.h"
#include "reenact/kernel/duration.h"
#include "reenact/kernel/effects/retry_rule.h"
#include "reenact/kernel/hash.h"
#include "reenact/workers/step_guard.h"
#include "reenact/world/world.h"
#include "tools/reenact/command_line.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/effect_host.h"
#include "tools/reenact/effect_outcomes.h"
#include "tools/reenact/feed.h"
#include "tools/reenact/json.h"
#include "tools/reenact/key_file.h"
#include "tools/reenact/live_world.h"
#include "tools/reenact/probes.h"
#include "tools/reenact/rows.h"
#include "tools/reenact/signals.h"
#include "tools/reenact/step_watch.h"
#include "tools/reenact/taken_rows.h"
#include "tools/reenact/terminal.h"

namespace reenact::tools {
namespace {

constexpr const char* kHelp =
    "Creates or continues a world, feeds it the events of a file, and "
    "reports.\n"
    "\n"
    "With --reproducible the same file, modules and options give the same "
    "bytes "
    "on any machine, with any number of workers; without it a new world "
    "differs "
    "in its id, which is its own. Ctrl-C stops cleanly; the same command "
    "continues where it stopped, without losing or doubling an event. So it "
    "does after a malformed line is corrected.\n"
    "\n"
    "A world knows the files that it was fed by name, and how far it has taken "
    "in each: a file that has grown is fed from where it was left, another "
    "file "
    "from its first row. What was taken in before is compared, and a file that "
    "has changed there is refused, with the line.";

constexpr const char* kFooter =
    "Examples:\n"
    "  reenact run --module counter --world w --events clicks.jsonl\n"
    "  gunzip -c log.jsonl.gz | reenact run --module cases --world w --events "
    "-\n"
    "  reenact run --module m --world w --events t.csv --reducer r --key id\n"
    "  reenact run --module shop --world w --with-executors\n"
    "  reenact run --module m --world w --events today.jsonl --append\n"
    "\n"
    "Formats (by extension unless --format says):\n"
    "  jsonl    a JSON object per line (.jsonl .ndjson .json, standard input)\n"
    "  csv      RFC 4180 with a header; every field is a text (.csv)\n"
    "  cborseq  canonical CBOR items, each a row or an event (.cborseq .cbor)\n"
    "  lines    the row {\"line\": TEXT} for each line (.txt .log)\n"
    "\n"
    "From rows to events: the module's own mapper, if it has one. With "
    "--reducer R\n"
    "--key FIELD each row is the payload of an event for R, and the text in "
    "FIELD its\n"
    "key. With neither, a row is an event itself: {\"reducer\", \"key\", "
    "\"payload\"} and\n"
    "where wanted \"schema\", \"id\" (submitted twice, it counts once), "
    "\"priority\" 0 to 3\n"
    "and \"time\" in microseconds.\n"
    "\n"
    "Sources: a file is a source of its own name, without its directories; "
    "standard\n"
    "input is the source stdin. --source gives it another, so that two files "
    "of "
    "one\n"
    "name, or two streams, are told apart. A file that was replaced by one "
    "with "
    "other\n"
    "rows is refused (exit code 14), unless --append says that all of it is "
    "new; the\n"
    "same command continues that one, too. After `reenact rollback` the world "
    "has taken\n"
    "in what it had at the snapshot: correct the file behind that place, and "
    "the same\n"
    "command feeds it from there on. A row with an \"id\" needs another one "
    "then, since\n"
    "ids stay known.\n"
    "\n"
    "Effects: without --with-executors they stay open. With it, when the input "
    "is at\n"
    "its end, http.request, process.run, blob.put, blob.get and message.send "
    "are carried\n"
    "out by this command, other kinds by processes that attach to "
    "--executor-socket (with\n"
    "--executor, those kinds that it names), and answers run at once; until "
    "nothing is left\n"
    "to do but what waits for an approval. What the policy lets nobody here "
    "answer is not\n"
    "begun, and said.\n"
    "Ctrl-C lets what runs end for 5 seconds. What is open then is offered "
    "again by the\n"
    "same command. The messages in the world's inbox are taken in, too. The "
    "report counts\n"
    "effects by how they ended in this run, and those that are open or held at "
    "its end.\n"
    "What a failed effect means is up to the world, so the command ends with 0 "
    "all the\n"
    "same, unless --strict-effects says otherwise.\n"
    "\n"
    "Exit codes: 0 all done; 3 damaged world; 4 other modules than recorded; "
    "5 a step\n"
    "that differs (--self-check); 6 newer "
    "format; 7 bad row, named as FILE:LINE, with everything before it kept; "
    "8 world\n"
    "open elsewhere or made otherwise; 9 disk full, permission, I/O; 10 bad "
    "module;\n"
    "11 a step that does not return (--step-timeout); 12 a step that crashes "
    "or calls\n"
    "exit(); 13 an effect has not ended with ok (--strict-effects); 14 the "
    "input is not what was taken in so far, named as FILE:LINE, "
    "and\n"
    "nothing was fed; 130, 143 stopped by SIGINT, SIGTERM.";

struct RunOptions {
  std::vector<std::string> modules;
  std::string world;
  bool in_memory = false;
  std::string events;
  std::string source;
  bool append = false;
  std::string format;
  std::string reducer;
  std::string key;
  std::size_t workers = 0;
  std::string sync = "every-block";
  std::optional<std::uint64_t> round_limit;
  std::optional<std::uint64_t> snapshot_every;
  std::string clock;
  std::optional<std::string> seed;
  std::optional<std::string> world_id;
  bool reproducible = false;
  std::string cache = "64MiB";
  std::size_t window = 256;
  std::uint64_t self_check = 0;
  double step_timeout = 0;  // seconds
  std::vector<std::uint64_t> fail_events;
  std::string by;
  std::string reason;
  std::optional<std::uint64_t> limit;
  bool with_executors = false;
  bool strict_effects = false;
  std::string executor_socket;
  std::vector<std::string> executors;  // NAME=KIND,KIND
  std::string executor_key;
  bool public_only = false;
  std::string secrets;
  std::size_t concurrency = 8;
  std::size_t per_host = 4;
  std::string retry;
  std::vector<std::string> messages;
  bool accept_module_change = false;
  bool accept_config_change = false;
  bool quiet = false;
  bool json = false;
};

constexpr const char* kTriesAgain = ", and the same command tries it again";
constexpr const char* kFailsIt =
    " (with --fail-event {event} --reason WHY it fails without being run)";

// An error together with how the command ends.
struct Failure {
  ExitCode code = ExitCode::kOk;
  std::string message;
};

class RunCommand {
 public:
  explicit RunCommand(RunOptions options)
      : options_(std::move(options)),
        name_(options_.in_memory ? "(memory)" : options_.world),
        progress_(!options_.quiet && !options_.json) {}

  ExitCode Run() {
    CatchStopSignals();
    WatchSteps();
    if (options_.self_check > 0) PrepareProbes();
    const Failure failure = Prepare();
    if (failure.code != ExitCode::kOk) {
      return Complain(failure.code, failure.message);
    }
    absl::Status fed = FeedAll();
    if (fed.ok() && host_ != nullptr) fed = ServeEffects();
    seconds_ = SecondsSince(start_);
    InterruptOnStop(nullptr);
    StopEffects();
    const WorldStats stats = world_->stats();
    outcomes_ = OutcomesOf(*world_);
    WriteBeforeCrash(nullptr);
    const absl::Status closed = world_->Close();
    progress_.Clear();
    NameWhatDidNotFail();
    Report(stats);
    return End(fed, closed);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double SecondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  static Failure Usage(std::string message) {
    return {ExitCode::kUsage, std::move(message)};
  }
  static Failure FailureOf(const absl::Status& status) {
    return {ExitCodeOf(status), std::string(status.message())};
  }

  Failure Prepare();
  Failure ChooseWorld();
  Failure LoadAllModules();
  void WatchSteps();
  Failure ChooseMapper();
  Failure ChooseFormat();
  Failure FillWorldOptions();
  Failure FillIdentity();
  Failure FillClock();
  // Takes over what an existing world was made with and is not asked otherwise.
  Failure MatchExistingWorld();
  Failure CheckFailEvents();
  Failure OpenInput();
  Failure ReadExecutors(
      std::map<std::string, std::vector<std::string>, std::less<>>* remotes);
  Failure MakeHost();
  Failure OpenWorld();
  Failure FindPlace();
  ExitCode OtherInput();
  ExitCode EndOfEffects();
  void WarnOfClock() const;
  absl::Status FeedAll();
  absl::Status ServeEffects();
  void StopEffects();
  absl::Status OnRow();
  ExitCode End(const absl::Status& fed, const absl::Status& closed);
  void NameWhatDidNotFail();
  void Report(const WorldStats& stats);
  void ReportJson(const WorldStats& stats);
  void ReportText(const WorldStats& stats);

  const RunOptions options_;
  const std::string name_;  // of the world, in messages
  ProgressLine progress_;
  std::unique_ptr<StepWatch> watch_;
  std::vector<Module> modules_;
  InputMapper mapper_;
  bool module_mapper_ = false;
  RowTime row_time_ = RowTime::kNone;  // of the mapper
  Format format_ = Format::kJsonl;
  WorldOptions world_options_;
  std::unique_ptr<InputFile> input_;
  std::string source_name_;           // empty: the world knows none
  SourceMark taken_;                  // of it, by the world
  std::unique_ptr<EffectHost> host_;  // outlives the world
  std::unique_ptr<World> world_;
  std::unique_ptr<FeedSource> source_;
  Clock::time_point start_;
  double seconds_ = 0;
  EffectOutcomes outcomes_;
};

Failure RunCommand::Prepare() {
  for (const auto step :
       {&RunCommand::CheckFailEvents, &RunCommand::ChooseWorld,
        &RunCommand::LoadAllModules, &RunCommand::ChooseMapper,
        &RunCommand::ChooseFormat, &RunCommand::FillWorldOptions,
        &RunCommand::OpenInput, &RunCommand::MakeHost, &RunCommand::OpenWorld,
        &RunCommand::FindPlace}) {
    Failure failure = (this->*step)();
    if (failure.code != ExitCode::kOk) return failure;
  }
  return {};
}

Failure RunCommand::ChooseWorld() {
  if (options_.in_memory == options_.world.empty()) {
    if (options_.in_memory && options_.with_executors) {
      return Usage(
          "--with-executors needs a world with a directory, for what it sends "
          "and gets");
    }
    return {};
  }
  return Usage(
      "name the world's directory with --world, or say --in-memory for a world "
      "that ends with the command");
}

Failure RunCommand::LoadAllModules() {
  KeepOutputFromModules();
  auto modules = LoadModules(options_.modules);
  if (!modules.ok()) {
    return {ExitCode::kBadModule, std::string(modules.status().message())};
  }
  modules_ = *std::move(modules);
  return {};
}

void RunCommand::WatchSteps() {
  SetStepGuardText(absl::StrCat("reenact: ", name_, ": "),
                   absl::StrCat("; it and what its round had before it is "
                                "not recorded",
                                kTriesAgain, kFailsIt));
  watch_ = EndWhenStuck(
      name_, options_.step_timeout,
      absl::StrCat("; it and what follows is not recorded", kTriesAgain),
      [this] { progress_.Clear(); });
}

Failure RunCommand::ChooseMapper() {
  if (options_.reducer.empty() != options_.key.empty()) {
    return Usage("--reducer and --key go together");
  }
  if (!options_.reducer.empty()) {
    mapper_ = RowIsPayload(options_.reducer, options_.key);
    return {};
  }
  for (const Module& module : modules_) {
    if (!module.mapper) continue;
    if (module_mapper_) {
      return Usage("two modules bring a mapper: name --reducer and --key");
    }
    module_mapper_ = true;
    mapper_ = module.mapper;
    row_time_ = module.row_time;
  }
  if (!module_mapper_) mapper_ = RowIsEvent();
  return {};
}

Failure RunCommand::ChooseFormat() {
  if (options_.events.empty()) return {};
  if (options_.format.empty()) {
    const auto by_path = FormatOfPath(options_.events);
    if (!by_path && options_.events != "-") {
      return Usage(options_.events +
                   ": the extension tells no format: name --format");
    }
    format_ = by_path.value_or(Format::kJsonl);
  } else {
    const auto format = ParseFormat(options_.format);
    if (!format.ok()) return FailureOf(format.status());
    format_ = *format;
  }
  if (format_ == Format::kCborSeq && module_mapper_) {
    // Items may be events already.
    mapper_ = [of_event = RowIsEvent(),
               of_row = mapper_](const cbor::Value& row) {
      return IsEventRow(row) ? of_event(row) : of_row(row);
    };
  }
  return {};
}

Failure RunCommand::FillWorldOptions() {
  WorldOptions& options = world_options_;
  options.path = options_.world;
  options.modules = modules_;
  options.workers = options_.workers;
  options.window = options_.window;
  options.self_check = options_.self_check;
  if (options_.self_check > 0) options.observe_check = ObserveStep;
  options.accept_module_change = options_.accept_module_change;
  options.accept_config_change = options_.accept_config_change;
  const auto sync = SyncPolicy::Parse(options_.sync);
  if (!sync.ok()) return FailureOf(Annotate(sync.status(), "--sync"));
  options.sync = *sync;
  const auto cache = ParseSize(options_.cache);
  if (!cache.ok()) return FailureOf(Annotate(cache.status(), "--cache"));
  options.cache_bytes = *cache;
  for (const auto step : {&RunCommand::FillClock, &RunCommand::FillIdentity,
                          &RunCommand::MatchExistingWorld}) {
    Failure failure = (this->*step)();
    if (failure.code != ExitCode::kOk) return failure;
  }
  WorldConfig& config = options.config;
  if (options_.round_limit) {
    config.scheduling.round_limit = *options_.round_limit;
  }
  if (options_.snapshot_every) {
    config.snapshot_every = *options_.snapshot_every;
  }
  return {};
}

// The world id is left empty if nobody says it: a new world draws its own.
Failure RunCommand::FillIdentity() {
  WorldConfig& config = world_options_.config;
  const std::string text = options_.seed.value_or("0");
  std::uint64_t seed = 0;
  if (text == "random") {
    std::random_device device;
    seed = (std::uint64_t{device()} << 32) | device();
  } else if (!absl::SimpleAtoi(text, &seed)) {
    return Usage("--seed must be a number or \"random\"");
  }
  SetSeed(seed, config);
  if (options_.world_id) {
    const auto id = FromHex(*options_.world_id);
    if (options_.reproducible) {
      return Usage("--reproducible says the world id, and so does --world-id");
    }
    if (!id.ok() || id->size() != kWorldIdSize) {
      return Usage("--world-id must be 32 hexadecimal digits");
    }
    config.world_id = *id;
  } else if (options_.reproducible) {
    if (text == "random") {
      return Usage("--reproducible goes with no --seed random");
    }
    if (config.clock == ClockKind::kWall) {
      return Usage("--reproducible needs --clock rounds or input");
    }
    SetIdentity(seed, config);
  }
  return {};
}

Failure RunCommand::FillClock() {
  ClockKind& clock = world_options_.config.clock;
  if (options_.clock == "rounds") {
    clock = ClockKind::kRounds;
  } else if (options_.clock == "input") {
    clock = ClockKind::kInput;
  } else if (options_.clock == "wall") {
    clock = ClockKind::kWall;
  } else if (options_.with_executors) {
    clock = ClockKind::kWall;
  } else {
    clock = row_time_ == RowTime::kSet ? ClockKind::kInput : ClockKind::kRounds;
  }
  return {};
}

Failure RunCommand::MatchExistingWorld() {
  std::error_code error;
  if (options_.in_memory ||
      !std::filesystem::exists(WorldPaths(options_.world).marker, error)) {
    return {};
  }
  const auto archive = Archive::Open(options_.world);
  if (!archive.ok()) return {};  // opening it will say why
  const WorldConfig& existing = (*archive)->config();
  WorldConfig& wanted = world_options_.config;
  if (!options_.clock.empty() && existing.clock != wanted.clock) {
    return {ExitCode::kRefused,
            options_.world + ": was made with another --clock"};
  }
  if (options_.seed && options_.seed != "random" &&
      existing.seed != wanted.seed) {
    return {ExitCode::kRefused,
            options_.world + ": was made with another --seed"};
  }
  if (!wanted.world_id.empty() && existing.world_id != wanted.world_id) {
    return {
        ExitCode::kRefused,
        absl::StrCat(options_.world, ": its id is ", ToHex(existing.world_id),
                     ", not ", ToHex(wanted.world_id), " as ",
                     options_.world_id ? "--world-id says"
                                       : "--reproducible would have it")};
  }
  std::vector<ModuleRecord> records;
  for (const Module& module : modules_) records.push_back(module.record);
  if (existing.modules != records && !options_.accept_module_change) {
    return {ExitCode::kModuleChanged,
            options_.world +
                ": was made with other modules, or other builds of them; "
                "--accept-module-change records the change and goes on"};
  }
  wanted = existing;
  return {};
}

Failure RunCommand::CheckFailEvents() {
  if (options_.fail_events.empty() != options_.reason.empty()) {
    return Usage("--fail-event and --reason go together");
  }
  if (options_.fail_events.empty() && !options_.by.empty()) {
    return Usage("--by goes with --fail-event");
  }
  return {};
}

// An event that has not come up is no failure of the run; but who ordered it
// wants to know.
void RunCommand::NameWhatDidNotFail() {
  for (const std::uint64_t event : options_.fail_events) {
    if (event <= world_->head().value) continue;
    Complain(ExitCode::kOk,
             absl::StrCat("warning: ", name_, ": event ", event,
                          " has not come up, so it has not failed"));
  }
}

Failure RunCommand::OpenInput() {
  if (options_.events.empty()) {
    if (!options_.source.empty() || options_.append) {
      return Usage("--source and --append go with --events");
    }
    if (options_.with_executors) return {};
    return Usage("name the input with --events, or use --with-executors");
  }
  auto input =
      InputFile::Open(options_.events, [] { return StopSignal() != 0; });
  if (!input.ok()) {
    return {ExitCode::kSystem, std::string(input.status().message())};
  }
  input_ = *std::move(input);
  if (options_.append && !input_->size()) {
    return Usage(
        "--append needs a file that can be read twice; give a stream a "
        "--source "
        "of its own");
  }
  source_name_ =
      options_.source.empty() ? SourceNameOf(options_.events) : options_.source;
  const absl::Status named = CheckSourceName(source_name_);
  return named.ok() ? Failure{}
                    : Usage(absl::StrCat("--source: ", named.message()));
}

// NAME=KIND[,KIND...]
Failure RunCommand::ReadExecutors(
    std::map<std::string, std::vector<std::string>, std::less<>>* remotes) {
  if (!options_.executors.empty() && options_.executor_socket.empty()) {
    return Usage("--executor goes with --executor-socket, where it attaches");
  }
  for (const std::string& executor : options_.executors) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(executor, absl::MaxSplits('=', 1));
    const std::vector<std::string> kinds = absl::StrSplit(parts.second, ',');
    const bool empty = std::find(kinds.begin(), kinds.end(), "") != kinds.end();
    if (parts.first.empty() || empty ||
        !remotes->emplace(parts.first, kinds).second) {
      return Usage("--executor is NAME=KIND[,KIND...], each NAME once");
    }
  }
  return {};
}

// "attempts=5,first=200ms,longest=30s,for=10m", or some of it.
absl::StatusOr<RetryRule> ParseRetry(const std::string& text) {
  RetryRule rule;
  const auto refuse = [&text](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("--retry ", text, ": ", ToAbsl(why),
                     "; it is attempts=N,first=TIME,longest=TIME,for=TIME, or "
                     "some of these"));
  };
  if (text.empty()) return rule;
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    const std::pair<std::string, std::string> field =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    std::optional<std::uint64_t>* const value =
        field.first == "attempts"  ? &rule.attempts
        : field.first == "first"   ? &rule.first_ms
        : field.first == "longest" ? &rule.longest_ms
        : field.first == "for"     ? &rule.for_ms
                                   : nullptr;
    if (value == nullptr || value->has_value()) {
      return refuse(absl::StrCat("there is no ", field.first, ", or two"));
    }
    std::uint64_t number = 0;
    if (value == &rule.attempts) {
      if (!absl::SimpleAtoi(field.second, &number)) {
        return refuse("attempts is no whole number");
      }
    } else {
      const auto span = ParseDuration(field.second, kMillisecond);
      if (!span.ok()) return refuse(ToStd(span.status().message()));
      number = static_cast<std::uint64_t>(*span / kMillisecond);
    }
    *value = number;
  }
  if (rule.IsValid()) return rule;
  return refuse(
      "attempts are 1 to 1000000, times a year at most, and `for` is not 0");
}

Failure RunCommand::MakeHost() {
  const bool asked = !options_.executor_socket.empty() ||
                     !options_.executors.empty() ||
                     !options_.executor_key.empty() || options_.public_only ||
                     !options_.secrets.empty() || !options_.messages.empty() ||
                     !options_.retry.empty();
  if (!options_.with_executors) {
    if (!asked) return {};
    return Usage(
        "--executor-socket, --executor, --executor-key, --secrets, --message, "
        "--retry and --public-addresses go with --with-executors");
  }
  EffectHostOptions host;
  host.world = options_.world;
  host.secrets = options_.secrets;
  host.socket = options_.executor_socket;
  host.concurrency = options_.concurrency;
  host.per_peer = options_.per_host;
  const auto retry = ParseRetry(options_.retry);
  if (!retry.ok()) return Usage(std::string(retry.status().message()));
  host.retry = *retry;
  for (const std::string& message : options_.messages) {
    const std::size_t equals = message.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Usage("--message is NAME=DIR");
    }
    host.messages.emplace_back(message.substr(0, equals),
                               message.substr(equals + 1));
  }
  host.public_only = options_.public_only;
  Failure failure = ReadExecutors(&host.remotes);
  if (failure.code != ExitCode::kOk) return failure;
  if (!options_.executor_key.empty()) {
    const auto key = ReadKeyFile(options_.executor_key);
    if (absl::IsInvalidArgument(key.status())) {
      return {ExitCode::kBadInput, std::string(key.status().message())};
    }
    if (!key.ok()) return FailureOf(key.status());
    host.key = *key;
  }
  host_ = std::make_unique<EffectHost>(std::move(host));
  world_options_.effects = host_->listener();
  return {};
}

Failure RunCommand::OpenWorld() {
  auto world = World::Open(world_options_);
  if (!world.ok()) return FailureOf(world.status());
  world_ = *std::move(world);
  WriteBeforeCrash(world_.get());
  for (const std::string& warning : world_->open_report().warnings) {
    Complain(ExitCode::kOk, "warning: " + warning);
  }
  const OpenReport& report = world_->open_report();
  if (report.blocks_cut > 0) {
    Complain(ExitCode::kOk,
             absl::StrCat("warning: ", name_, ": cut ", report.blocks_cut,
                          " blocks that had not been acknowledged"));
  }
  for (const std::uint64_t event : options_.fail_events) {
    const absl::Status ordered =
        world_->FailEvent(EventId{event}, NameOr(options_.by), options_.reason);
    if (!ordered.ok()) return FailureOf(ordered);
  }
  if (host_ == nullptr) return {};
  const absl::Status started = host_->Start(world_.get());
  if (!started.ok()) return FailureOf(started);
  for (const std::string& note : host_->OpeningNotes()) {
    Complain(ExitCode::kOk, note);
  }
  return {};
}

// Where the world stands in the input. A world of an older format knows a row
// of whatever it was fed last.
Failure RunCommand::FindPlace() {
  if (input_ == nullptr) return {};
  if (world_->config().format_version < kFormatVersionSources) {
    if (options_.append || !options_.source.empty()) {
      return {
          ExitCode::kRefused,
          absl::StrCat(name_, ": has format ", world_->config().format_version,
                       ", which knows no sources by name, so --source and "
                       "--append are for newer worlds")};
    }
    source_name_.clear();
    taken_.position = world_->position();
    return {};
  }
  taken_ = world_->source(source_name_);
  if (!options_.append || taken_.position == 0) return {};
  auto again = InputFile::Open(options_.events);
  if (!again.ok()) return FailureOf(again.status());
  const auto rows = RowReader::Make(format_, *std::move(again));
  const auto same = BeginsWith(*rows, taken_);
  // What cannot be read is other rows, which feeding will refuse with its
  // place.
  if (!same.ok() || !*same) taken_ = SourceMark();
  return {};
}

absl::Status RunCommand::ServeEffects() {
  return host_->Serve([this] {
    progress_.Update(world_->stats().receipts, "receipts", std::nullopt);
    return StopSignal() != 0;
  });
}

void RunCommand::StopEffects() {
  if (host_ == nullptr) return;
  const absl::Status stopped =
      host_->Stop(std::chrono::seconds(StopSignal() != 0 ? 5 : 0));
  if (!stopped.ok()) {
    Complain(ExitCode::kOk, absl::StrCat("warning: ", stopped.message()));
  }
  // What came of it at the last moment.
  if (const absl::Status ran = world_->Run(); !ran.ok()) {
    Complain(ExitCode::kOk, absl::StrCat("warning: ", ran.message()));
  }
  for (const std::string& note : host_->Notes()) {
    Complain(ExitCode::kOk, note);
  }
}

// A signal is no reason to refuse a row here: the world has been interrupted,
// and stops where it does no harm to the rounds that follow.
absl::Status RunCommand::OnRow() {
  const InputFile& file = source_->rows().file();
  std::optional<double> fraction;
  if (file.size() && *file.size() > 0) {
    fraction = static_cast<double>(file.consumed()) /
               static_cast<double>(*file.size());
  }
  progress_.Update(source_->delivered(), "rows", fraction);
  return absl::OkStatus();
}

absl::Status RunCommand::FeedAll() {
  start_ = Clock::now();
  if (input_ == nullptr) return absl::OkStatus();
  FeedSource::Options options;
  options.mapper = mapper_;
  options.config = world_->config();
  options.name = source_name_;
  options.taken = taken_;
  options.limit = options_.limit.value_or(0);
  options.on_row = [this] { return OnRow(); };
  source_ = std::make_unique<FeedSource>(
      RowReader::Make(format_, std::move(input_)), std::move(options));
  InterruptOnStop(world_.get());
  return world_->Feed(*source_);
}

// What steps called while they were checked.
std::string WatchedCalls(bool acts_only) {
  std::string text;
  for (const ProbeNote& note : ProbeNotes()) {
    if (note.acts || !acts_only) absl::StrAppend(&text, "; ", note.Text());
  }
  return text;
}

ExitCode RunCommand::End(const absl::Status& fed, const absl::Status& closed) {
  if (world_->stats().nondeterministic > 0) {
    return Complain(ExitCode::kImpure,
                    absl::StrCat(fed.message(), WatchedCalls(false)));
  }
  // Recorded as it went; but a world whose steps act is none that replays.
  if (const std::string acts = WatchedCalls(true); !acts.empty()) {
    return Complain(
        ExitCode::kImpure,
        absl::StrCat("a step did something outside of its world", acts));
  }
  if (!closed.ok()) return Complain(closed);
  if (fed.ok()) return EndOfEffects();
  if (absl::IsCancelled(fed) && StopSignal() != 0) {
    return Complain(static_cast<ExitCode>(128 + StopSignal()),
                    absl::StrCat("stopped at event ", world_->head().value,
                                 "; the same command continues"));
  }
  if (source_ != nullptr && source_->differs()) return OtherInput();
  if (source_ != nullptr && !source_->status().ok()) {
    const bool bad = absl::IsInvalidArgument(source_->status());
    return Complain(bad ? ExitCode::kBadInput : ExitCode::kSystem,
                    ToStd(source_->status().message()));
  }
  return Complain(fed);
}

ExitCode RunCommand::EndOfEffects() {
  if (!options_.strict_effects || outcomes_.AllWell()) return ExitCode::kOk;
  return Complain(ExitCode::kNotWell,
                  absl::StrCat(name_, ": not all effects ended with ok: ",
                               ToText(outcomes_)));
}

// The world is closed, so its journal can be read for the row.
ExitCode RunCommand::OtherInput() {
  const auto place = FirstOtherRow(
      {options_.world, source_name_, options_.events, format_, mapper_});
  if (!place) {
    return Complain(ExitCode::kOtherInput, ToStd(source_->status().message()));
  }
  return Complain(
      ExitCode::kOtherInput,
      absl::StrCat(*place,
                   ": from here on this is not what the world has taken "
                   "in of \"",
                   source_name_, "\"; ", ToAbsl(kOtherRows)));
}

// Whoever asked for the clock `input`, or whose mapper has it by default.
void RunCommand::WarnOfClock() const {
  if (source_ == nullptr || source_->delivered() == 0 || source_->timed() ||
      world_->config().clock != ClockKind::kInput) {
    return;
  }
  Complain(
      ExitCode::kOk,
      absl::StrCat("warning: ", name_,
                   ": its clock is `input`, and no row had a time: logical "
                   "time stands still, so no timer fires and no deadline "
                   "passes; make the world with --clock rounds or wall"));
}

void RunCommand::Report(const WorldStats& stats) {
  WarnOfClock();
  if (options_.json) {
    ReportJson(stats);
  } else if (!options_.quiet) {
    ReportText(stats);
  }
}

void RunCommand::ReportJson(const WorldStats& stats) {
  const OpenReport& opened = world_->open_report();
  Json json;
  json["world"] = name_;
  json["world_id"] = ToHex(world_->config().world_id);
  json["created"] = opened.created;
  json["from"] = opened.head.value;
  json["head"] = world_->head().value;
  json["journal"] = world_->journal_digest().ToHex();
  json["position"] = world_->position();
  if (!source_name_.empty()) {
    json["source"] = source_name_;
    json["source_position"] = world_->source(source_name_).position;
  }
  if (source_ != nullptr) {
    json["rows"] = source_->delivered();
    json["rows_skipped"] = source_->skipped();
  }
  json["inputs"] = stats.inputs;
  json["duplicates"] = stats.duplicates;
  json["tickets"] = stats.tickets;
  json["committed"] = stats.committed;
  json["failed"] = stats.failed;
  json["failures"] = Json::object();
  for (const auto& [code, count] : stats.failures) {
    json["failures"][FailureName(code)] = count;
  }
  json["raised"] = stats.raised;
  json["conflicts"] = stats.conflicts;
  json["reruns"] = stats.reruns;
  json["waits"] = stats.waits;
  json["rounds"] = stats.rounds;
  json["groups"] = stats.groups;
  json["syncs"] = stats.syncs;
  json["snapshots"] = stats.snapshots;
  json["journal_bytes"] = stats.journal_bytes;
  json["cells_cached"] = stats.cells_cached;
  json["cache_bytes"] = stats.cache_bytes;
  json["cell_loads"] = stats.cell_loads;
  json["timers_waiting"] = stats.timers_waiting;
  json["effects"] = ToJson(outcomes_);
  json["effects_open"] = stats.effects_open;
  json["effects_held"] = stats.effects_held;
  json["receipts"] = stats.receipts;
  json["receipts_duplicate"] = stats.receipts_duplicate;
  json["receipts_refused"] = stats.receipts_refused;
  json["seconds"] = seconds_;
  json["events_per_second"] =
      seconds_ > 0 ? static_cast<double>(stats.tickets) / seconds_ : 0.0;
  json["peak_memory_bytes"] = PeakMemory();
  PrintLine(Dump(json));
}

void RunCommand::ReportText(const WorldStats& stats) {
  const OpenReport& opened = world_->open_report();
  std::string text;
  const auto line = [&](std::string_view name, const auto&... parts) {
    absl::StrAppend(&text, "  ", ToAbsl(name),
                    std::string(12 - name.size(), ' '), parts..., "\n");
  };
  absl::StrAppend(&text, name_, ": ",
                  opened.created ? "a new world" : "continued after event ",
                  opened.created ? "" : WithCommas(opened.head.value), "\n");
  if (source_ != nullptr) {
    line("rows", WithCommas(source_->delivered()),
         source_->skipped() > 0
             ? absl::StrCat(", after ", WithCommas(source_->skipped()),
                            " that the world had")
             : "",
         stats.duplicates > 0
             ? absl::StrCat(", ", WithCommas(stats.duplicates), " duplicates")
             : "");
  }
  line("tickets", WithCommas(stats.tickets), " in ", WithCommas(stats.rounds),
       " rounds, ", RateText(stats.tickets, seconds_));
  line("committed", WithCommas(stats.committed));
  std::string failures;
  for (const auto& [code, count] : stats.failures) {
    absl::StrAppend(&failures, failures.empty() ? " (" : ", ",
                    FailureName(code), " ", WithCommas(count));
  }
  line("failed", WithCommas(stats.failed), failures,
       failures.empty() ? "" : ")");
  line("conflicts", WithCommas(stats.conflicts), ", re-runs ",
       WithCommas(stats.reruns));
  if (stats.timers_waiting > 0) {
    line("timers", WithCommas(stats.timers_waiting), " not due yet");
  }
  if (!outcomes_.None()) line("effects", ToText(outcomes_));
  line("journal", SizeText(stats.journal_bytes), " written in ",
       WithCommas(stats.groups), " groups, ", WithCommas(stats.syncs),
       " syncs, ", WithCommas(stats.snapshots), " snapshots");
  line("memory", SizeText(PeakMemory()), " at most; ",
       WithCommas(stats.cells_cached), " cells cached in ",
       SizeText(stats.cache_bytes));
  line("time", DurationText(seconds_));
  line("head", world_->head().value, " ", world_->journal_digest().ToHex());
  Print(text);
}

}  // namespace

void AddRunCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run = app.add_subcommand("run", kHelp);
  run->footer(kFooter);
  run->add_option("-m,--module", options->modules,
                  "Module by name or path; may be repeated")
      ->required()
      ->allow_extra_args(false);
  run->add_option("-w,--world", options->world,
                  "The world's directory; made, with its parents, if there is "
                  "none");
  run->add_flag("--in-memory", options->in_memory,
                "Instead: a world that ends with the command, and leaves "
                "nothing");
  run->add_option("-e,--events", options->events,
                  "The input file; - is standard input. With "
                  "--with-executors it may be left out");
  run->add_option("--source", options->source,
                  "What the world calls the input, and remembers its place by "
                  "[the file's name, without directories]");
  run->add_flag("--append", options->append,
                "If the file is another one than was fed under this name: feed "
                "all of it, behind what was");
  run->add_flag("--with-executors", options->with_executors,
                "Carry out effects, and run until nothing is left to do");
  run->add_flag(
      "--strict-effects", options->strict_effects,
      "End with 13 if an effect ended in this run otherwise than with "
      "ok, or is open or held at its end");
  run->add_option("--executor-socket", options->executor_socket,
                  "Where executors of other processes attach; then it runs "
                  "until Ctrl-C while effects are open");
  run->add_option("--executor", options->executors,
                  "NAME=KIND[,KIND...]: leave these kinds, of this command's "
                  "own too, to the process that attaches as NAME; may be "
                  "repeated. Nobody else may attach then [whoever attaches "
                  "may take what is not this command's]")
      ->allow_extra_args(false);
  run->add_option("--executor-key", options->executor_key,
                  "Sign this command's receipts with the key in this file; "
                  "see `reenact policy key`");
  run->add_flag("--public-addresses", options->public_only,
                "Connect to public addresses only, whatever a name resolves "
                "to: not to loopback, private and link-local ones");
  run->add_option("--secrets", options->secrets,
                  "A directory of secrets, a file each, for ${secret:NAME}; 8 "
                  "bytes or more");
  run->add_option("--message", options->messages,
                  "NAME=DIR: message.send to NAME goes to the world in DIR; "
                  "may be repeated")
      ->allow_extra_args(false);
  run->add_option("--concurrency", options->concurrency,
                  "Effects of one kind carried out at a time")
      ->check(Whole(1, 1024))
      ->capture_default_str();
  run->add_option(
      "--retry", options->retry,
      "attempts=N,first=TIME,longest=TIME,for=TIME, or some of these: "
      "how often effects are tried, how long the first and any wait "
      "between attempts may be, and how long all of it, where neither "
      "intent nor policy says "
      "[attempts=5,first=200ms,longest=30s,for=10m]");
  run->add_option(
         "--per-host", options->per_host,
         "Of those, so many at a time that wait for one host, or world, "
         "so that one that does not answer leaves room for others. 0: "
         "all of them")
      ->capture_default_str()
      ->check(Whole(0, 1024));
  run->add_option("-f,--format", options->format,
                  "jsonl, csv, cborseq or lines");
  run->add_option("--reducer", options->reducer,
                  "Make each row an event for this reducer");
  run->add_option("--key", options->key,
                  "and the text in this field of the row its key");
  run->add_option("-j,--workers", options->workers,
                  "Threads that run steps; 0: none besides the main one. "
                  "Leaves no trace in the world")
      ->check(Whole(0, 1024))
      ->capture_default_str();
  run->add_option("--sync", options->sync,
                  "When it is made durable: every-block, interval[:100ms] "
                  "or none. Leaves no trace")
      ->capture_default_str();
  run->add_option("--round-limit", options->round_limit,
                  "Events in a round, at most [1024]")
      ->check(Whole(1));
  run->add_option("--snapshot-every", options->snapshot_every,
                  "Take a snapshot every so many rounds; 0: none [0]");
  run->add_option("--clock", options->clock,
                  "Logical time of a new world: rounds (counts them), input "
                  "(what the mapper says) or wall (the machine's; such a run "
                  "is its own history) [wall with --with-executors, input "
                  "where the module's mapper sets times, else rounds]")
      ->check(CLI::IsMember({"rounds", "input", "wall"}));
  run->add_option("--seed", options->seed,
                  "Random numbers of a new world: a number, or random [0]");
  run->add_option("--world-id", options->world_id,
                  "Id of a new world, 32 hexadecimal digits: what idempotency "
                  "keys, messages and receipts tell worlds apart by, so no two "
                  "worlds that act may share one [from the machine's "
                  "randomness]");
  run->add_flag("--reproducible", options->reproducible,
                "A new world's id follows from --seed, so that the same file, "
                "modules and options give the same bytes: for tests and CI");
  run->add_option("--cache", options->cache, "Memory for cells")
      ->capture_default_str();
  run->add_option("--window", options->window,
                  "Tickets in flight, a power of two. Leaves no trace")
      ->capture_default_str();
  run->add_option("--self-check", options->self_check,
                  "Run one in so many steps twice and compare, before they are "
                  "recorded; the first that differs ends the run, with exit "
                  "code 5. 0: none. Leaves no trace")
      ->capture_default_str();
  AddStepTimeout(*run, &options->step_timeout);
  run->add_option("--fail-event", options->fail_events,
                  "The event with this number, which crashes or does not "
                  "return, fails without being run; recorded with who and "
                  "why. May be repeated")
      ->check(Whole(1))
      ->allow_extra_args(false);
  run->add_option("--reason", options->reason, "Why events are to fail");
  run->add_option("--by", options->by, "Who says so [the user's name]");
  run->add_option("--limit", options->limit, "Stop after so many rows")
      ->check(Whole(1));
  run->add_flag("--accept-module-change", options->accept_module_change,
                "Record that the modules have changed, and go on");
  run->add_flag("--accept-config-change", options->accept_config_change,
                "Record another --round-limit or --snapshot-every, and go on");
  run->add_flag("-q,--quiet", options->quiet, "No progress and no report");
  run->add_flag("--json", options->json, "The report as one JSON object");
  run->callback([options, action] {
    *action = [options] { return RunCommand(*options).Run(); };
  });
}

}  // namespace reenact::tools
