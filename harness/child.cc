#include "reenact/harness/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "reenact/base/check.h"

namespace reenact::harness {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kTasks = SharedRecord::kChecking + 1;
// Draws of a run that are kept; a longer one that kills its process has no
// replay string.
constexpr std::size_t kDraws = std::size_t{1} << 20;
constexpr std::size_t kSaidMax = 2000;
constexpr int kPollMs = 20;

// A name that another process may read at any moment: one that is cut off is
// better than one that is waited for.
template <std::size_t N>
void SetName(std::string_view name, std::array<char, N>* text) {
  const std::size_t size = std::min(name.size(), N - 1);
  std::memcpy(text->data(), name.data(), size);
  (*text)[size] = '\0';
}

}  // namespace

struct SharedRecord::Layout {
  struct Step {
    std::atomic<std::uint64_t> event_id{0};  // 0: none runs
    std::array<char, 128> reducer{};
    std::array<char, 256> key{};
  };
  std::atomic<std::uint64_t> progress{0};
  std::atomic<std::uint64_t> task{0};
  std::array<Step, kTasks> steps{};
  ChoiceMirror mirror{};
  std::atomic<std::uint64_t> events_size{0};
  std::array<char, std::size_t{1} << 16> events{};
  Choice draws[kDraws];  // pages are used as need be
};

SharedRecord::SharedRecord()
    : layout_([] {
        void* const memory =
            mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REENACT_CHECK(memory != MAP_FAILED);
        // Zeros are what it begins with; draws are not touched.
        return static_cast<Layout*>(memory);
      }()) {
  layout_->mirror.draws = layout_->draws;
  layout_->mirror.capacity = kDraws;
}

SharedRecord::~SharedRecord() { munmap(layout_, sizeof(Layout)); }

void SharedRecord::Clear() {
  BeginRun();
  layout_->progress = 0;
}

void SharedRecord::BeginRun() {
  layout_->task = 0;
  for (Layout::Step& step : layout_->steps) step.event_id = 0;
  layout_->mirror.size = 0;
  layout_->events_size = 0;
  ++layout_->progress;
}

void SharedRecord::Running(std::uint64_t task) {
  layout_->task.store(task, std::memory_order_relaxed);
}

void SharedRecord::BeginStep(std::uint64_t task, EventId event_id,
                             std::string_view reducer, std::string_view key) {
  Layout::Step& step = layout_->steps[task % kTasks];
  SetName(reducer, &step.reducer);
  SetName(key, &step.key);
  step.event_id.store(event_id.value, std::memory_order_release);
  layout_->progress.fetch_add(1, std::memory_order_relaxed);
}

void SharedRecord::EndStep(std::uint64_t task) {
  layout_->steps[task % kTasks].event_id.store(0, std::memory_order_release);
  layout_->progress.fetch_add(1, std::memory_order_relaxed);
}

void SharedRecord::AddEvent(std::string_view line) {
  const std::uint64_t at = layout_->events_size;
  if (line.size() > layout_->events.size() - at) return;
  std::memcpy(layout_->events.data() + at, line.data(), line.size());
  layout_->events_size = at + line.size();
}

std::string SharedRecord::Events() const {
  std::map<std::uint64_t, std::string> by_ticket;
  std::string_view rest(layout_->events.data(), layout_->events_size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) break;
    const std::string line(rest.substr(0, end));
    by_ticket[std::strtoull(line.c_str(), nullptr, 10)] = line;
    rest.remove_prefix(end + 1);
  }
  std::string text;
  for (const auto& [ticket, line] : by_ticket) {
    absl::StrAppend(&text, "  ", line, "\n");
  }
  return text;
}

ChoiceMirror* SharedRecord::mirror() { return &layout_->mirror; }

std::uint64_t SharedRecord::progress() const { return layout_->progress; }

std::string SharedRecord::CurrentStep() const {
  const Layout::Step& step = layout_->steps[layout_->task % kTasks];
  const std::uint64_t event_id = step.event_id.load(std::memory_order_acquire);
  if (event_id == 0) return "";
  return absl::StrCat("event ", event_id, ", ", step.reducer.data(), "/",
                      step.key.data());
}

ChoiceLog SharedRecord::Log() const {
  const std::uint64_t size =
      std::min<std::uint64_t>(layout_->mirror.size, kDraws);
  return ChoiceLog(layout_->draws, layout_->draws + size);
}

namespace {

std::string NameOfSignal(int signal) {
  const char* const name = sigabbrev_np(signal);
  return name == nullptr ? absl::StrCat("signal ", signal)
                         : absl::StrCat("SIG", name);
}

}  // namespace

Violation Ending::ToViolation(const SharedRecord& record, double limit) const {
  const std::string step = record.CurrentStep();
  const std::string who =
      step.empty() ? "no step was running (a module's own thread, or the "
                     "harness)"
                   : step;
  std::string detail;
  if (stuck) {
    detail = absl::StrCat(who, ": no end after ", limit, " s\n");
  } else if (signal != 0) {
    detail = absl::StrCat(
        who, ": ", NameOfSignal(signal),
        signal == SIGSEGV ? ", a bad address or a stack that is full\n" : "\n");
  } else {
    detail = absl::StrCat(who, ": the process ended with exit code ", exit_code,
                          "\n");
  }
  if (!said.empty()) absl::StrAppend(&detail, "it wrote: ", said, "\n");
  return {stuck ? "a step comes to an end" : "a step leaves its process alone",
          std::move(detail)};
}

namespace {

void WriteAll(int fd, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t count = write(fd, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) _exit(3);  // nobody is there any more
    at += count;
    size -= static_cast<std::size_t>(count);
  }
}

// A message is its length and its bytes; one of no bytes is the last.
void SendMessage(int fd, pid_t owner, BytesView message) {
  if (getpid() != owner) _exit(0);  // a step has forked
  const std::uint64_t size = message.size();
  WriteAll(fd, &size, sizeof size);
  WriteAll(fd, message.data(), message.size());
}

// What a child of ours is: it ends with us, leaves no core behind, says nothing
// on our terminal, and is stopped by us, not by who types.
void SettleIn(int said) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  (void)signal(SIGINT, SIG_IGN);
  (void)signal(SIGTERM, SIG_DFL);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nowhere >= 0) {
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
  }
  if (said >= 0) dup2(said, STDERR_FILENO);
}

std::string TailOf(int fd) {
  std::string text(kSaidMax, '\0');
  const off_t size = lseek(fd, 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(kSaidMax));
  const ssize_t count = pread(fd, text.data(), text.size(), from);
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Child>> Child::Start(
    SharedRecord* record, double step_seconds,
    const std::function<void(const Send&)>& body) {
  std::unique_ptr<Child> child(new Child(record, step_seconds));
  record->Clear();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "a pipe to a child");
  }
  child->said_ = memfd_create("said", MFD_CLOEXEC);
  (void)std::fflush(nullptr);  // or both would write what is left
  child->pid_ = fork();
  if (child->pid_ == 0) {
    close(ends[0]);
    SettleIn(child->said_);
    const pid_t self = getpid();
    body([fd = ends[1], self](BytesView message) {
      SendMessage(fd, self, message);
    });
    SendMessage(ends[1], self, "");
    _exit(0);
  }
  close(ends[1]);
  child->fd_ = ends[0];
  if (child->pid_ < 0) return absl::ErrnoToStatus(errno, "a child process");
  (void)fcntl(child->fd_, F_SETFL, O_NONBLOCK);
  child->since_ = child->watched_ = Clock::now();
  return child;
}

Child::~Child() {
  if (pid_ > 0) {
    (void)kill(pid_, SIGKILL);
    (void)waitpid(pid_, nullptr, 0);
  }
  if (fd_ >= 0) close(fd_);
  if (said_ >= 0) close(said_);
}

bool Child::Receive(const std::function<void(BytesView)>& receive) {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t count = read(fd_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return true;
    if (count == 0) return false;
    received_.append(buffer.data(), static_cast<std::size_t>(count));
    std::uint64_t size = 0;
    std::size_t at = 0;
    while (received_.size() - at >= sizeof size) {
      std::memcpy(&size, received_.data() + at, sizeof size);
      if (received_.size() - at - sizeof size < size) break;
      at += sizeof size;
      if (size == 0) {
        ending_.in_order = true;
      } else {
        receive(BytesView(received_).substr(at, size));
      }
      at += size;
    }
    received_.erase(0, at);
  }
}

void Child::Watch() {
  if (step_seconds_ <= 0) return;
  const Clock::time_point now = Clock::now();
  // While we looked elsewhere it may have waited for us.
  constexpr std::chrono::seconds kAway(1);
  if (now - watched_ > kAway) since_ = now;
  watched_ = now;
  if (record_.progress() != progress_) {
    progress_ = record_.progress();
    since_ = now;
    return;
  }
  if (std::chrono::duration<double>(now - since_).count() < step_seconds_) {
    return;
  }
  ending_.stuck = true;
  (void)kill(pid_, SIGKILL);
}

void Child::Stop() {
  ending_.stopped = true;
  (void)kill(pid_, SIGKILL);
}

Ending Child::Finish() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
  if (WIFSIGNALED(status)) ending_.signal = WTERMSIG(status);
  if (WIFEXITED(status)) ending_.exit_code = WEXITSTATUS(status);
  if (said_ >= 0) ending_.said = TailOf(said_);
  return ending_;
}

Ending RunChild(SharedRecord* record, double step_seconds,
                const std::function<bool()>& cancelled,
                const std::function<void(const Child::Send&)>& body,
                const std::function<void(BytesView)>& receive) {
  auto child = Child::Start(record, step_seconds, body);
  if (!child.ok()) {
    Ending ending;
    ending.stopped = true;
    ending.said = std::string(child.status().message());
    return ending;
  }
  while ((*child)->Receive(receive)) {
    pollfd waits{(*child)->fd(), POLLIN, 0};
    (void)poll(&waits, 1, kPollMs);
    (*child)->Watch();
    if (cancelled && cancelled()) (*child)->Stop();
  }
  return (*child)->Finish();
}

}  // namespace reenact::harness
