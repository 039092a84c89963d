#include "tools/reenact/command_line.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "reenact/kernel/duration.h"
#include "tools/reenact/common.h"

namespace reenact::tools {
namespace {

constexpr std::string_view kWords[] = {"--note", "--reason", "KEY"};

std::string RangeText(std::uint64_t low, std::uint64_t high) {
  if (high != kAnyNumber) return absl::StrCat("from ", low, " to ", high);
  return absl::StrCat("of at least ", low);
}

bool MayBeEmpty(const CLI::Option& option) {
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&option](std::string_view name) {
                       return option.check_name(std::string(name));
                     });
}

// Before anything else looks at it.
void RefuseEmpty(CLI::Option& option) {
  option.transform(CLI::Validator(
      [](std::string& value) {
        return value.empty() ? std::string("it is empty") : std::string();
      },
      "", "not empty"));
}

void CheckValues(CLI::App& app) {
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_expected_max() == 0) continue;  // a flag
    if (option->get_type_name() == "UINT") option->check(Whole(0));
    if (!MayBeEmpty(*option)) RefuseEmpty(*option);
  }
  for (CLI::App* const command : app.get_subcommands(nullptr)) {
    CheckValues(*command);
  }
}

// The innermost command that was named.
const CLI::App& Named(const CLI::App& app) {
  const std::vector<CLI::App*> commands = app.get_subcommands();
  return commands.empty() ? app : Named(*commands.back());
}

// What was given and is not known; empty: nothing.
std::string Unknown(const CLI::App& app, const std::string& name) {
  const CLI::App& command = Named(app);
  const std::vector<std::string> left = app.remaining(true);
  const auto option =
      std::find_if(left.begin(), left.end(), [](const std::string& word) {
        return word.size() > 1 && word[0] == '-';
      });
  if (option != left.end()) {
    return absl::StrCat("there is no option ", *option, "; `", name,
                        " --help` lists those there are");
  }
  if (left.empty()) return "";
  const bool commands = !command.get_subcommands(nullptr).empty();
  return absl::StrCat("there is no ", commands ? "command" : "argument", " \"",
                      left.front(), "\"; `", name,
                      " --help` says what there is");
}

std::string FullName(const CLI::App& app) {
  std::string name = app.get_name();
  const std::vector<CLI::App*> commands = app.get_subcommands();
  return commands.empty() ? name
                          : absl::StrCat(name, " ", FullName(*commands.back()));
}

// What was asked for, on standard output.
ExitCode Show(const std::string& text) {
  if (Print(text) && FlushOutput()) return ExitCode::kOk;
  return Complain(OutputError());
}

}  // namespace

CLI::Validator Whole(std::uint64_t low, std::uint64_t high) {
  return CLI::Validator(
      [low, high](const std::string& value) {
        std::uint64_t number = 0;
        if (absl::SimpleAtoi(value, &number) && number >= low &&
            number <= high) {
          return std::string();
        }
        return absl::StrCat("\"", value.substr(0, 40),
                            "\" is not a whole number ", RangeText(low, high));
      },
      low == 0 && high == kAnyNumber ? "" : RangeText(low, high), "whole");
}

CLI::Validator Seconds(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& value) {
        const auto span = ParseDuration(value, kSecond);
        if (!span.ok()) return std::string(span.status().message());
        const double seconds =
            static_cast<double>(*span) / static_cast<double>(kSecond);
        if (seconds < low || seconds > high) {
          return absl::StrCat("\"", value, "\" is not from ", low, "s to ",
                              high, "s");
        }
        value = absl::StrCat(seconds);
        return std::string();
      },
      "", "duration");
}

void HoldStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    // The lowest that is free, which is this one; read from or written to in
    // the direction that does not work.
    (void)::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

std::optional<ExitCode> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  CheckValues(app);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    const std::string name = FullName(app);
    const bool asked = error.get_exit_code() == 0;  // for help, or the version
    const std::string unknown = Unknown(app, name);
    if (!unknown.empty()) return Complain(ExitCode::kUsage, unknown);
    if (!asked) {
      return Complain(ExitCode::kUsage, absl::StrCat(error.what(), "; `", name,
                                                     " --help` says more"));
    }
    const bool help = error.get_name() == "CallForHelp" ||
                      error.get_name() == "CallForAllHelp";
    return Show(help ? app.help() : absl::StrCat(error.what(), "\n"));
  }
}

}  // namespace reenact::tools
