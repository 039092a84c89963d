#include "tools/reenact/exit_codes.h"

namespace reenact::tools {

std::string_view ExitCodeHelp() {
  return "Exit codes:\n"
         "    0  success\n"
         "    1  verify found a divergence; no such cell; any other failure\n"
         "    2  usage: the command line makes no sense\n"
         "    3  the world is damaged; the message names file and entry\n"
         "    4  the modules are not those that the world has recorded\n"
         "    5  a reducer is impure: two runs of one step differ\n"
         "    6  the world has a format that this version does not know\n"
         "    7  bad input: malformed row, unknown reducer, bad key, too "
         "large\n"
         "    8  refused: no world there, open elsewhere, or made otherwise\n"
         "    9  the system: disk full, permission denied, I/O error, no such "
         "file,\n       a world that was moved or replaced while it was open\n"
         "   10  a module is not there or cannot be used\n"
         "   11  a step does not return (--step-timeout)\n"
         "   12  a step crashed the process, or called exit(); the message "
         "names it\n"
         "   13  an effect has not ended with ok (run --strict-effects)\n"
         "   14  the input is not what the world has taken in so far; nothing "
         "was fed\n"
         "  130  stopped cleanly by SIGINT; the same command continues\n"
         "  143  stopped cleanly by SIGTERM; the same command continues\n";
}

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kUsage;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kDamaged;
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kUnknownFormat;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return ExitCode::kRefused;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return ExitCode::kSystem;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace reenact::tools
