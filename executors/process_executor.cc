#include "reenact/executors/process_executor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "reenact/executors/blob_store.h"
#include "reenact/executors/child_process.h"
#include "reenact/executors/content.h"
#include "reenact/executors/params.h"
#include "reenact/executors/secrets.h"

namespace reenact {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kTimeoutDefaultMs = 60'000;
constexpr std::size_t kFilesMax = 200;  // evidence has room for 256
constexpr std::size_t kFileChunk = 256 << 10;
constexpr std::string_view kKeyVariable = "REENACT_IDEMPOTENCY_KEY";

absl::Status Refuse(std::string_view field, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("parameter \"", ToAbsl(field), "\" ", ToAbsl(what)));
}

bool HasNul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

// What an effect asks for beside the child itself.
struct Job {
  ChildSpec child;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  bool keep_outputs = false;
  bool has_secrets = false;
  std::vector<std::int64_t> expect_exit;
};

std::string PathIn(const std::string& directory, const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  return directory + "/" + path;
}

// --- what is asked for -------------------------------------------------------

absl::StatusOr<std::string> FindProgram(const std::string& name,
                                        const ProcessOptions& options) {
  if (name.empty()) return Refuse("argv", "names no program");
  if (name[0] == '/') return name;
  if (name.find('/') != std::string::npos) {
    return Refuse("argv",
                  "must name the program by an absolute path or without one");
  }
  for (const std::string& directory : options.path) {
    const std::string path = directory + "/" + name;
    struct stat status;
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        ::access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return absl::NotFoundError(absl::StrCat("there is no program \"",
                                          name.substr(0, 100),
                                          "\" where programs are looked for"));
}

absl::Status CheckArgv(const std::vector<std::string>& argv) {
  if (argv.empty()) return Refuse("argv", "is missing or empty");
  for (const std::string& argument : argv) {
    if (HasNul(argument)) return Refuse("argv", "has a NUL in it");
    // Other users of the machine see arguments.
    if (Secrets::HasReference(argument)) {
      return Refuse("argv", "must not hold a secret: use \"env\" or \"stdin\"");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> EnvironmentOf(
    const std::vector<std::pair<std::string, std::string>>& asked,
    const ProcessOptions& options, Task& task) {
  std::vector<std::string> env;
  const auto is_asked = [&](const std::string& name) {
    return std::any_of(asked.begin(), asked.end(),
                       [&](const auto& pair) { return pair.first == name; });
  };
  for (const auto& [name, value] : options.env) {
    if (!is_asked(name)) env.push_back(name + "=" + value);
  }
  for (const auto& [name, text] : asked) {
    const std::string field = "env." + name.substr(0, 100);
    if (name.empty() || HasNul(name) || name.find('=') != std::string::npos ||
        name == kKeyVariable) {
      return Refuse(field, "is no name that can be set");
    }
    REENACT_ASSIGN_OR_RETURN(const std::string value,
                             task.secrets().Expand(text));
    if (HasNul(value)) return Refuse(field, "has a NUL in it");
    env.push_back(name + "=" + value);
  }
  env.push_back(std::string(kKeyVariable) + "=" +
                task.effect().idempotency_key.ToHex());
  return env;
}

absl::Status CheckSize(const ChildSpec& child, const ProcessOptions& options) {
  std::uint64_t size = 0;
  for (const auto* texts : {&child.argv, &child.env}) {
    for (const std::string& text : *texts) size += text.size() + 1;
  }
  if (size <= options.argument_bytes_max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "arguments and variables have ", size, " bytes; the limit is ",
      options.argument_bytes_max, ": hand it over in \"stdin\" or a file"));
}

struct LimitName {
  const char* name;
  int resource;
};
constexpr LimitName kLimits[] = {{"cpu_s", RLIMIT_CPU},
                                 {"file_bytes", RLIMIT_FSIZE},
                                 {"files", RLIMIT_NOFILE},
                                 {"memory_bytes", RLIMIT_AS},
                                 {"processes", RLIMIT_NPROC}};

absl::Status ReadLimits(const cbor::Value* value, ChildSpec* child) {
  if (value == nullptr) return absl::OkStatus();
  Params limits(*value, "limits.");
  for (const LimitName& limit : kLimits) {
    const std::int64_t number =
        limits.Integer(limit.name, -1, 0, std::int64_t{1} << 62);
    if (number >= 0) {
      child->limits.emplace_back(limit.resource,
                                 static_cast<std::uint64_t>(number));
    }
  }
  return limits.Finish();
}

// When it is asked to end, so that it is over by the task's deadline.
void SetDeadline(milliseconds timeout, const ProcessOptions& options,
                 const Task& task, ChildSpec* child) {
  const milliseconds left = TimeLeft(task, milliseconds::max());
  child->grace = std::min(options.grace, left / 4);
  child->deadline = Task::Clock::now() + std::min(timeout, left - child->grace);
  child->cancel_fd = task.cancel_fd();
}

absl::Status CheckFiles(const Job& job) {
  if (job.inputs.size() + job.outputs.size() > kFilesMax) {
    return Refuse("outputs", absl::StrCat("and \"inputs\" name more than ",
                                          kFilesMax, " files"));
  }
  for (const auto* paths : {&job.inputs, &job.outputs}) {
    for (const std::string& path : *paths) {
      if (path.empty() || HasNul(path)) {
        return Refuse(paths == &job.inputs ? "inputs" : "outputs",
                      "has something that is no path");
      }
    }
  }
  return absl::OkStatus();
}

bool HoldsSecret(const std::vector<std::pair<std::string, std::string>>& env,
                 const cbor::Value* input) {
  return (input != nullptr && input->IsText() &&
          Secrets::HasReference(*input->AsText())) ||
         std::any_of(env.begin(), env.end(), [](const auto& pair) {
           return Secrets::HasReference(pair.second);
         });
}

absl::StatusOr<Job> ReadJob(Task& task, const ProcessOptions& options) {
  Params params(task.effect().params);
  Job job;
  ChildSpec& child = job.child;
  child.argv = params.Texts("argv");
  const std::string cwd = params.Text("cwd", "");
  const auto env = params.TextMap("env");
  const cbor::Value* const input = params.Any("stdin");
  const std::int64_t timeout_max = options.timeout_max.count();
  const milliseconds timeout(params.Integer(
      "timeout_ms", std::min(kTimeoutDefaultMs, timeout_max), 1, timeout_max));
  const auto output_max = static_cast<std::int64_t>(options.output_bytes_max);
  child.stdout_max = static_cast<std::uint64_t>(
      params.Integer("stdout_bytes_max", output_max, 0, output_max));
  child.stderr_max = static_cast<std::uint64_t>(
      params.Integer("stderr_bytes_max", output_max, 0, output_max));
  const cbor::Value* const limits = params.Any("limits");
  job.inputs = params.Texts("inputs");
  job.outputs = params.Texts("outputs");
  job.keep_outputs = params.Bool("keep_outputs", false);
  job.expect_exit = params.Integers("expect_exit");
  if (job.expect_exit.empty()) job.expect_exit = {0};
  if (HasNul(cwd)) params.Fail("cwd", "has a NUL in it");
  job.has_secrets = HoldsSecret(env, input);
  if (job.keep_outputs && job.has_secrets) {
    params.Fail("keep_outputs",
                "is not for processes that are given a secret: it might be in "
                "what they write");
  }
  REENACT_RETURN_IF_ERROR(params.Finish());

  REENACT_RETURN_IF_ERROR(CheckArgv(child.argv));
  REENACT_RETURN_IF_ERROR(CheckFiles(job));
  REENACT_RETURN_IF_ERROR(ReadLimits(limits, &child));
  child.directory = PathIn(options.directory, cwd.empty() ? "." : cwd);
  REENACT_ASSIGN_OR_RETURN(child.env, EnvironmentOf(env, options, task));
  REENACT_RETURN_IF_ERROR(CheckSize(child, options));
  REENACT_ASSIGN_OR_RETURN(child.program, FindProgram(child.argv[0], options));
  REENACT_ASSIGN_OR_RETURN(
      child.input, ContentOf("stdin", input, task, options.input_bytes_max));
  SetDeadline(timeout, options, task, &child);
  return job;
}

// --- evidence ----------------------------------------------------------------

absl::StatusOr<Evidence> EvidenceOf(const std::string& name,
                                    const std::string& path) {
  const auto refuse = [&](int error) {
    return absl::NotFoundError(absl::StrCat(
        name.substr(0, 300), ": ", std::generic_category().message(error)));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return refuse(errno);
  const struct Closer {
    ~Closer() { ::close(fd); }
    int fd;
  } closer{fd};
  struct stat status;
  if (::fstat(fd, &status) != 0) return refuse(errno);
  if (!S_ISREG(status.st_mode)) {
    return absl::NotFoundError(
        absl::StrCat(name.substr(0, 300), ": it is not a plain file"));
  }
  Evidence evidence{name, {}, 0};
  Hasher hasher;
  Bytes chunk(kFileChunk, '\0');
  for (;;) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(errno);
    if (got == 0) break;
    const auto size = static_cast<std::size_t>(got);
    hasher.Add(BytesView(chunk).substr(0, size));
    evidence.size += size;
  }
  evidence.digest = hasher.Finish();
  return evidence;
}

absl::Status RecordInputs(const Job& job, Answer* answer) {
  for (const std::string& path : job.inputs) {
    REENACT_ASSIGN_OR_RETURN(
        Evidence evidence,
        EvidenceOf("input:" + path, PathIn(job.child.directory, path)));
    answer->evidence.push_back(std::move(evidence));
  }
  return absl::OkStatus();
}

absl::StatusOr<Evidence> KeepFile(const std::string& name,
                                  const std::string& path, BlobStore* blobs) {
  if (blobs == nullptr) {
    return absl::FailedPreconditionError(
        "\"keep_outputs\": there is no blob store here");
  }
  Evidence evidence{name, {}, 0};
  REENACT_ASSIGN_OR_RETURN(evidence.digest,
                           blobs->PutFile(path, &evidence.size));
  return evidence;
}

absl::Status RecordOutputs(const Job& job, Task& task, cbor::Value* payload,
                           Answer* answer) {
  if (job.outputs.empty()) return absl::OkStatus();
  cbor::Value outputs = cbor::Value::Map();
  for (const std::string& path : job.outputs) {
    const std::string name = "output:" + path;
    const std::string place = PathIn(job.child.directory, path);
    REENACT_ASSIGN_OR_RETURN(Evidence evidence,
                             job.keep_outputs
                                 ? KeepFile(name, place, task.blobs())
                                 : EvidenceOf(name, place));
    outputs.Set(path, cbor::Value::Map({{job.keep_outputs ? "blob" : "digest",
                                         DigestValue(evidence.digest)},
                                        {"size", cbor::Value(evidence.size)}}));
    answer->evidence.push_back(std::move(evidence));
  }
  payload->Set("outputs", std::move(outputs));
  return absl::OkStatus();
}

// --- the answer --------------------------------------------------------------

std::uint64_t Count(milliseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

Amounts UsageOf(const ChildResult& result) {
  return {{"calls", 1},
          {"ms", Count(result.elapsed)},
          {"cpu_ms", Count(result.cpu)}};
}

// "": it ended as it was expected to.
std::string Complaint(const Job& job, const ChildResult& result) {
  using End = ChildResult::End;
  switch (result.end) {
    case End::kTimedOut:
      return "it took too long and was ended";
    case End::kCancelled:
      return "cancelled";
    case End::kTooMuchOutput:
      return absl::StrCat("it wrote more than ", job.child.stdout_max,
                          " bytes to stdout, or more than ",
                          job.child.stderr_max, " to stderr, and was ended");
    case End::kSignalled:
      return absl::StrCat("signal ", result.code);
    case End::kLost:
      return "how it ended is lost: this program ignores SIGCHLD or waits for "
             "children that are not its own";
    case End::kUnwatched:
      return "nothing is left to wait for it with, so it was ended";
    case End::kExited:
      break;
  }
  const auto& expected = job.expect_exit;
  if (std::find(expected.begin(), expected.end(), result.code) !=
      expected.end()) {
    return "";
  }
  return absl::StrCat("exit status ", result.code);
}

// A process that exits has said how it ended. Of one that was stopped on its
// way nobody knows how far it had come.
ReceiptStatus StatusOf(const ChildResult& result) {
  if (result.end == ChildResult::End::kExited) return ReceiptStatus::kError;
  if (result.end == ChildResult::End::kCancelled) {
    return ReceiptStatus::kCancelled;
  }
  return ReceiptStatus::kTimeout;
}

// Output that was cut off might end in half of a secret, which nothing finds.
bool MayKeepOutput(const Job& job, const ChildResult& result) {
  if (result.end == ChildResult::End::kTooMuchOutput) return false;
  return result.end == ChildResult::End::kExited || !job.has_secrets;
}

// An error: what came of it cannot be kept, though it has run.
absl::Status Report(const Job& job, const ChildResult& result,
                    const ProcessOptions& options, Task& task,
                    cbor::Value* payload, Answer* answer) {
  if (result.end == ChildResult::End::kExited) {
    payload->Set("exit", result.code);
  } else if (result.end == ChildResult::End::kSignalled) {
    payload->Set("signal", result.code);
  }
  if (MayKeepOutput(job, result)) {
    REENACT_RETURN_IF_ERROR(KeepContent(
        "stdout", result.out, options.inline_bytes_max, task, payload, answer));
    REENACT_RETURN_IF_ERROR(KeepContent(
        "stderr", result.err, options.inline_bytes_max, task, payload, answer));
  }
  std::string complaint = Complaint(job, result);
  if (complaint.empty()) {
    const absl::Status recorded = RecordOutputs(job, task, payload, answer);
    if (recorded.ok() || !absl::IsNotFound(recorded)) return recorded;
    complaint = task.secrets().Redact(ToStd(recorded.message()));
  }
  answer->status = StatusOf(result);
  payload->Set("error", TextValue(std::move(complaint)));
  return absl::OkStatus();
}

}  // namespace

ProcessExecutor::ProcessExecutor(ProcessOptions options)
    : options_(std::move(options)) {}

Answer ProcessExecutor::Execute(Task& task) {
  const absl::StatusOr<Job> job = ReadJob(task, options_);
  if (!job.ok()) return AnswerOf(job.status(), task);
  Answer answer;
  const absl::Status recorded = RecordInputs(*job, &answer);
  if (!recorded.ok()) return AnswerOf(recorded, task);
  if (task.cancelled()) return Cancelled();
  const absl::StatusOr<ChildResult> result = RunChild(job->child);
  if (!result.ok()) return AnswerOf(result.status(), task);
  cbor::Value payload = cbor::Value::Map();
  const absl::Status status =
      Report(*job, *result, options_, task, &payload, &answer);
  if (!status.ok()) {
    answer.status = ReceiptStatus::kTimeout;
    answer.transient = absl::IsResourceExhausted(status);
    payload.Set("error",
                TextValue(task.secrets().Redact(ToStd(status.message()))));
  }
  answer.payload = payload.Encode();
  answer.usage = UsageOf(*result);
  return answer;
}

}  // namespace reenact
