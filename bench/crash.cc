#include "bench/crash.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "bench/load.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/rng.h"

namespace reenact::bench {
namespace {

// Increments of random cells; says once when enough of them are durable.
class EndlessSource final : public InputSource {
 public:
  EndlessSource(const World& world, std::uint64_t tickets)
      : world_(world), tickets_(tickets) {}

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (position_ % 1024 == 0 && !told_ && world_.durable().value >= tickets_) {
      told_ = true;
      if (write(STDOUT_FILENO, "!", 1) != 1) {
        return absl::ErrnoToStatus(errno, "standard output");
      }
    }
    if (position_ == 2 * tickets_ + kSlack) return false;
    Input& input = row->emplace_back();
    input.event.reducer = "counter";
    input.event.key = CellKey(static_cast<std::uint32_t>(rng_.Below(100'000)));
    input.event.payload = cbor::EncodeInteger(0);
    input.position = ++position_;
    return true;
  }

 private:
  static constexpr std::uint64_t kSlack = 1'000'000;
  const World& world_;
  const std::uint64_t tickets_;
  std::uint64_t position_ = 0;
  bool told_ = false;
  Rng rng_{Seed{9}};
};

// The reading end of a pipe and the process at the other.
class Child {
 public:
  static absl::StatusOr<std::unique_ptr<Child>> Start(
      std::vector<std::string> command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
    std::vector<char*> arguments;
    for (std::string& part : command) arguments.push_back(part.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::unique_ptr<Child> child(new Child);
    const int failed = posix_spawn(&child->pid_, arguments[0], &actions,
                                   nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    child->pipe_ = ends[0];
    if (failed == 0) return child;
    child->pid_ = -1;
    return absl::ErrnoToStatus(failed, "starting a process");
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(pipe_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Whether it has written within a fifth of a second. Unavailable: it has
  // ended instead.
  absl::StatusOr<bool> HasWritten() const {
    pollfd waiting{pipe_, POLLIN, 0};
    if (poll(&waiting, 1, 200) <= 0) return false;
    char byte = 0;
    if (read(pipe_, &byte, 1) == 1) return true;
    return absl::UnavailableError("the process that was to be killed ended");
  }

 private:
  Child() = default;
  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace

WorldOptions CrashedWorldOptions(const std::filesystem::path& directory) {
  WorldOptions options;
  options.path = directory.string();
  options.modules.push_back(CounterModule(BusyWork(), 0));
  SetIdentity(0, options.config);
  return options;
}

absl::Status MakeCrashedWorld(const std::filesystem::path& directory,
                              std::uint64_t tickets) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // who was to kill it may die before
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<World> world,
                           World::Open(CrashedWorldOptions(directory)));
  EndlessSource source(*world, tickets);
  REENACT_RETURN_IF_ERROR(world->Feed(source));
  return world->Close();
}

absl::Status RunUntilKilled(std::vector<std::string> command,
                            const std::filesystem::path& directory,
                            std::uint64_t tickets,
                            const std::function<bool()>& stopped) {
  command.push_back(directory.string());
  command.push_back(std::to_string(tickets));
  REENACT_ASSIGN_OR_RETURN(const auto child, Child::Start(std::move(command)));
  for (;;) {
    const absl::StatusOr<bool> written = child->HasWritten();
    // Asked first: what stops us may have ended the child as well.
    if (stopped()) return absl::CancelledError("stopped");
    REENACT_RETURN_IF_ERROR(written.status());
    if (*written) return absl::OkStatus();
  }
}

}  // namespace reenact::bench
