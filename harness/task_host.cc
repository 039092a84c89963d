#include "reenact/harness/task_host.h"

#include <cxxabi.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reenact/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define REENACT_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REENACT_ASAN_FIBERS 1
#endif
#endif
#ifdef REENACT_ASAN_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif

namespace reenact::harness {

namespace {

// --- stacks ------------------------------------------------------------------

constexpr std::size_t kStackBytes = 1 << 20;  // of which pages are used as need

// A stack with a page below it that nobody may touch.
class Stack {
 public:
  Stack() {
    page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    memory_ = mmap(nullptr, kStackBytes + page_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REENACT_CHECK(memory_ != MAP_FAILED);
    REENACT_CHECK(mprotect(memory_, page_, PROT_NONE) == 0);
  }
  ~Stack() {
    if (memory_ != nullptr) munmap(memory_, kStackBytes + page_);
  }
  Stack(Stack&& other) noexcept
      : page_(other.page_), memory_(std::exchange(other.memory_, nullptr)) {}
  Stack& operator=(Stack&&) = delete;

  void* low() const { return static_cast<char*>(memory_) + page_; }
  // It is there for as long as the process.
  void Abandon() { memory_ = nullptr; }

 private:
  std::size_t page_ = 0;
  void* memory_ = nullptr;
};

// Making one takes longer than most runs do, so each thread keeps some.
thread_local std::vector<Stack> spare_stacks;

Stack TakeStack() {
  if (spare_stacks.empty()) return Stack();
  Stack stack = std::move(spare_stacks.back());
  spare_stacks.pop_back();
  return stack;
}

// What the language keeps for a thread about exceptions: belongs to the task.
struct ExceptionState {
  void* caught = nullptr;
  unsigned uncaught = 0;
};
ExceptionState* ThreadExceptions() {
  return reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
}

// --- fibers ------------------------------------------------------------------

// ucontext, of the C library: a switch costs two system calls for a signal mask
// that never changes, which is little beside what a task does between two.
class Fibers final : public TaskHost {
 public:
  void Enter(instrument::Conductor* conductor) override {
    conductor_ = conductor;
  }
  void Leave() override {}

  std::unique_ptr<HostedTask> Start(std::function<void()> body) override {
    return std::make_unique<Fiber>(this, std::move(body));
  }
  void Resume(HostedTask* task) override {
    auto* const fiber = static_cast<Fiber*>(task);
#if defined(REENACT_INSTRUMENTED)
    instrument::conductor = conductor_;
#endif
    const ExceptionState outer =
        std::exchange(*ThreadExceptions(), fiber->exceptions);
    StartSwitch(&fake_stack_, fiber->stack.low(), kStackBytes);
    REENACT_CHECK(swapcontext(&main_, &fiber->context) == 0);
    FinishSwitch(fake_stack_, nullptr, nullptr);
    fiber->exceptions = std::exchange(*ThreadExceptions(), outer);
#if defined(REENACT_INSTRUMENTED)
    instrument::conductor = nullptr;
#endif
    if (fiber->done) fiber->Recycle();
  }
  void Suspend(HostedTask* task) override {
    auto* const fiber = static_cast<Fiber*>(task);
    StartSwitch(fiber->done ? nullptr : &fiber->fake_stack, main_low_,
                main_size_);
    REENACT_CHECK(swapcontext(&fiber->context, &main_) == 0);
    FinishSwitch(fiber->fake_stack, &main_low_, &main_size_);
  }

 private:
  struct Fiber final : HostedTask {
    Fiber(Fibers* host_in, std::function<void()> body_in)
        : host(host_in), body(std::move(body_in)), stack(TakeStack()) {
      REENACT_CHECK(getcontext(&context) == 0);
      context.uc_stack.ss_sp = stack.low();
      context.uc_stack.ss_size = kStackBytes;
      context.uc_link = nullptr;
      const auto self = reinterpret_cast<std::uintptr_t>(this);
      makecontext(&context, reinterpret_cast<void (*)()>(&Fiber::Main), 2,
                  static_cast<unsigned>(self),
                  static_cast<unsigned>(self >> 32));
    }
    ~Fiber() override {
      // Abandoned: objects on its stack may still be pointed to.
      if (!recycled) stack.Abandon();
    }
    void Recycle() {
      recycled = true;
      spare_stacks.push_back(std::move(stack));
      body = nullptr;
    }
    static void Main(unsigned low, unsigned high) {
      auto* const self =
          reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(low) |
                                   static_cast<std::uintptr_t>(high) << 32);
      FinishSwitch(nullptr, &self->host->main_low_, &self->host->main_size_);
      self->body();
      self->done = true;
      self->host->Suspend(self);
    }

    Fibers* const host;
    std::function<void()> body;
    Stack stack;
    ucontext_t context;
    ExceptionState exceptions;
    void* fake_stack = nullptr;
    bool done = false;
    bool recycled = false;
  };

  // AddressSanitizer has to know which stack is in use.
  static void StartSwitch([[maybe_unused]] void** save,
                          [[maybe_unused]] const void* low,
                          [[maybe_unused]] std::size_t size) {
#ifdef REENACT_ASAN_FIBERS
    __sanitizer_start_switch_fiber(save, low, size);
#endif
  }
  static void FinishSwitch([[maybe_unused]] void* fake,
                           [[maybe_unused]] const void** old_low,
                           [[maybe_unused]] std::size_t* old_size) {
#ifdef REENACT_ASAN_FIBERS
    __sanitizer_finish_switch_fiber(fake, old_low, old_size);
#endif
  }

  instrument::Conductor* conductor_ = nullptr;
  ucontext_t main_;
  void* fake_stack_ = nullptr;
  const void* main_low_ = nullptr;
  std::size_t main_size_ = 0;
};

// --- threads -----------------------------------------------------------------

class Threads final : public TaskHost {
 public:
  void Enter(instrument::Conductor* conductor) override {
    conductor_ = conductor;
  }
  void Leave() override {}

  std::unique_ptr<HostedTask> Start(std::function<void()> body) override {
    return std::make_unique<Turn>(conductor_, std::move(body));
  }
  void Resume(HostedTask* task) override {
    auto* const turn = static_cast<Turn*>(task);
    turn->shared->go.release();
    turn->shared->back.acquire();
  }
  void Suspend(HostedTask* task) override {
    auto* const turn = static_cast<Turn*>(task);
    turn->shared->back.release();
    turn->shared->go.acquire();
  }

 private:
  struct Shared {
    std::binary_semaphore go{0};
    std::binary_semaphore back{0};
    bool done = false;
  };
  struct Turn final : HostedTask {
    Turn(instrument::Conductor* conductor, std::function<void()> body)
        : shared(std::make_shared<Shared>()) {
      thread = std::thread([conductor, body = std::move(body), s = shared] {
        s->go.acquire();
#if defined(REENACT_INSTRUMENTED)
        instrument::conductor = conductor;
#else
        (void)conductor;
#endif
        body();
        s->done = true;
        s->back.release();
      });
    }
    ~Turn() override {
      // One that was abandoned waits for ever.
      if (shared->done) {
        thread.join();
      } else {
        thread.detach();
      }
    }
    std::shared_ptr<Shared> shared;
    std::thread thread;
  };

  instrument::Conductor* conductor_ = nullptr;
};

}  // namespace

absl::StatusOr<EngineKind> EngineFromName(std::string_view name) {
  if (name == "fibers") return EngineKind::kFibers;
  if (name == "threads") return EngineKind::kThreads;
  if (name == "free") return EngineKind::kFree;
  return absl::InvalidArgumentError(
      absl::StrCat("no engine is called \"", std::string(name),
                   "\"; there are fibers, threads and free"));
}

std::unique_ptr<TaskHost> TaskHost::Make(EngineKind kind) {
  REENACT_CHECK(kind != EngineKind::kFree);
  if (kind == EngineKind::kThreads) return std::make_unique<Threads>();
  return std::make_unique<Fibers>();
}

}  // namespace reenact::harness
