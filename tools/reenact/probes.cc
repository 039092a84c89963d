#include "tools/reenact/probes.h"

#include <map>
#include <mutex>
#include <utility>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REENACT_NO_PROBES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REENACT_NO_PROBES
#endif
#endif

#ifdef REENACT_NO_PROBES

namespace reenact::tools {

bool ProbesExist() { return false; }
void PrepareProbes() {}
void ObserveStep(bool, int, std::string_view, EventId) {}
std::vector<ProbeNote> ProbeNotes() { return {}; }

}  // namespace reenact::tools

#else

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace reenact::tools {
namespace {

constexpr std::size_t kLatestStepsMax = 512;

// The step that this thread runs. Plain data: probes may be called before
// constructors have run.
struct Running {
  bool active = false;   // a step runs, and the probe itself does not
  bool perturb = false;  // it is the step's second run
  std::string_view reducer;
  std::uint64_t event_id = 0;
  int run = 0;
};
thread_local Running running;

struct Library {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool is_runtime = false;  // the C or C++ library: whoever called it counts
};

// Filled before the first step, only read afterwards.
std::vector<Library>& OwnLibraries() {
  static auto* libraries = new std::vector<Library>;
  return *libraries;
}

int AddLibrary(dl_phdr_info* info, std::size_t, void*) {
  Library library{.begin = UINTPTR_MAX};
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    library.begin = std::min(library.begin, begin);
    library.end = std::max(library.end, begin + header.p_memsz);
  }
  for (const char* runtime : {"libstdc++", "libc++", "libc.so", "libgcc_s"}) {
    if (std::strstr(info->dlpi_name, runtime)) library.is_runtime = true;
  }
  OwnLibraries().push_back(library);
  return 0;
}

const Library* OwnLibraryOf(std::uintptr_t address) {
  for (const Library& library : OwnLibraries()) {
    if (address >= library.begin && address < library.end) return &library;
  }
  return nullptr;
}

// Whether the call that led to the probe came from a module, be it through the
// C++ library (std::chrono) or directly.
struct Walk {
  bool left_probe = false;
  bool from_module = false;
};

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  const std::uintptr_t address = _Unwind_GetIP(context);
  const Library* library = OwnLibraryOf(address);
  if (library == nullptr) {
    walk.from_module = true;
    return _URC_END_OF_STACK;
  }
  // The innermost frames are the probe's own, in the executable: the library
  // that was noted first.
  const bool own_frame = library == &OwnLibraries().front();
  if (own_frame && !walk.left_probe) return _URC_NO_REASON;
  walk.left_probe = true;
  return library->is_runtime ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// REQUIRES: the direct caller is not the executable itself.
bool CalledByModule() {
  Walk walk;
  _Unwind_Backtrace(OnFrame, &walk);
  return walk.from_module;
}

struct Book {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, ProbeNote> notes;
};
Book& TheBook() {
  static auto* book = new Book;
  return *book;
}

void Note(const char* function) {
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  ProbeNote& note = book.notes[{std::string(running.reducer), function}];
  if (note.calls++ == 0) {
    note.reducer = running.reducer;
    note.function = function;
    note.first = EventId{running.event_id};
  }
  note.first = std::min(note.first, EventId{running.event_id});
  note.latest_steps.insert(running.event_id);
  if (note.latest_steps.size() > kLatestStepsMax) {
    note.latest_steps.erase(note.latest_steps.begin());
  }
}

}  // namespace

// True if a module's step called, and shall get another answer than before.
// `caller` is where the probe returns to.
bool ProbeCalled(const char* function, const void* caller) {
  if (__builtin_expect(!running.active, 1)) return false;
  const Library* library =
      OwnLibraryOf(reinterpret_cast<std::uintptr_t>(caller));
  if (library != nullptr && !library->is_runtime) return false;
  running.active = false;  // what follows may call a probe
  const bool counts = CalledByModule();
  if (counts) Note(function);
  running.active = true;
  return counts && running.perturb;
}

bool ProbesExist() { return true; }

void PrepareProbes() {
  if (OwnLibraries().empty()) dl_iterate_phdr(AddLibrary, nullptr);
}

void ObserveStep(bool begins, int run, std::string_view reducer,
                 EventId event_id) {
  if (!begins) {
    running.active = false;
    return;
  }
  // Runs count up from one step to the next try of the same.
  running.perturb =
      run > 1 || (running.event_id == event_id.value && run > running.run);
  running.reducer = reducer;
  running.event_id = event_id.value;
  running.run = run;
  running.active = true;
}

std::vector<ProbeNote> ProbeNotes() {
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  std::vector<ProbeNote> notes;
  for (const auto& [name, note] : book.notes) notes.push_back(note);
  return notes;
}

}  // namespace reenact::tools

// The definitions that come before the C library's.

namespace {

// The next definition of `name`, looked up once; a relaxed atomic instead of a
// static local, whose guard could call back into a probe.
template <typename Function>
Function* Real(std::atomic<void*>& cache, const char* name) {
  void* found = cache.load(std::memory_order_relaxed);
  if (found == nullptr) {
    found = dlsym(RTLD_NEXT, name);
    cache.store(found, std::memory_order_relaxed);
  }
  return reinterpret_cast<Function*>(found);
}

constexpr int kOtherSeconds =
    1'000'003;  // the second run lives that much later
constexpr unsigned kOtherBits = 0x2545f491U;

}  // namespace

#define REENACT_PROBE extern "C" __attribute__((visibility("default")))
#define REENACT_REAL(name, type)            \
  static std::atomic<void*> cache{nullptr}; \
  auto* const real = Real<type>(cache, #name)
#define REENACT_CALLED(name) \
  ::reenact::tools::ProbeCalled(#name, __builtin_return_address(0))

REENACT_PROBE int clock_gettime(clockid_t clock, timespec* now) noexcept {
  REENACT_REAL(clock_gettime, int(clockid_t, timespec*));
  const int result = real(clock, now);
  if (REENACT_CALLED(clock_gettime)) now->tv_sec += kOtherSeconds;
  return result;
}

REENACT_PROBE int gettimeofday(timeval* __restrict now,
                               void* __restrict zone) noexcept {
  REENACT_REAL(gettimeofday, int(timeval*, void*));
  const int result = real(now, zone);
  if (REENACT_CALLED(gettimeofday)) now->tv_sec += kOtherSeconds;
  return result;
}

REENACT_PROBE time_t time(time_t* now) noexcept {
  REENACT_REAL(time, time_t(time_t*));
  time_t result = real(nullptr);
  if (REENACT_CALLED(time)) result += kOtherSeconds;
  if (now) *now = result;
  return result;
}

REENACT_PROBE int timespec_get(timespec* now, int base) noexcept {
  REENACT_REAL(timespec_get, int(timespec*, int));
  const int result = real(now, base);
  if (REENACT_CALLED(timespec_get)) now->tv_sec += kOtherSeconds;
  return result;
}

REENACT_PROBE clock_t clock() noexcept {
  REENACT_REAL(clock, clock_t());
  const clock_t result = real();
  return REENACT_CALLED(clock) ? result + kOtherSeconds : result;
}

REENACT_PROBE int rand() noexcept {
  REENACT_REAL(rand, int());
  const int result = real();
  return REENACT_CALLED(rand) ? result ^ static_cast<int>(kOtherBits) : result;
}

REENACT_PROBE long random() noexcept {
  REENACT_REAL(random, long());
  const long result = real();
  return REENACT_CALLED(random) ? result ^ static_cast<long>(kOtherBits)
                                : result;
}

REENACT_PROBE double drand48() noexcept {
  REENACT_REAL(drand48, double());
  const double result = real();
  return REENACT_CALLED(drand48) ? 1.0 - result / 2 : result;
}

REENACT_PROBE long lrand48() noexcept {
  REENACT_REAL(lrand48, long());
  const long result = real();
  return REENACT_CALLED(lrand48) ? result ^ static_cast<long>(kOtherBits)
                                 : result;
}

REENACT_PROBE uint32_t arc4random() noexcept {
  REENACT_REAL(arc4random, uint32_t());
  const uint32_t result = real();
  return REENACT_CALLED(arc4random) ? result ^ kOtherBits : result;
}

REENACT_PROBE ssize_t getrandom(void* bytes, size_t size, unsigned flags) {
  REENACT_REAL(getrandom, ssize_t(void*, size_t, unsigned));
  const ssize_t result = real(bytes, size, flags);
  REENACT_CALLED(getrandom);  // two answers differ as they are
  return result;
}

REENACT_PROBE int getentropy(void* bytes, size_t size) {
  REENACT_REAL(getentropy, int(void*, size_t));
  const int result = real(bytes, size);
  REENACT_CALLED(getentropy);
  return result;
}

// A variable that is set is not there in the second run, and the other way
// round.
REENACT_PROBE char* getenv(const char* name) noexcept {
  REENACT_REAL(getenv, char*(const char*));
  char* const result = real(name);
  static char other[] = "reenact";
  if (!REENACT_CALLED(getenv)) return result;
  return result == nullptr ? other : nullptr;
}

REENACT_PROBE char* secure_getenv(const char* name) noexcept {
  REENACT_REAL(secure_getenv, char*(const char*));
  char* const result = real(name);
  static char other[] = "reenact";
  if (!REENACT_CALLED(secure_getenv)) return result;
  return result == nullptr ? other : nullptr;
}

REENACT_PROBE pid_t getpid() noexcept {
  REENACT_REAL(getpid, pid_t());
  const pid_t result = real();
  return REENACT_CALLED(getpid) ? result + 1 : result;
}

// std::random_device::operator(), which may draw from the processor itself.
REENACT_PROBE unsigned _ZNSt13random_device9_M_getvalEv(void* device) {
  static std::atomic<void*> cache{nullptr};
  auto* const real =
      Real<unsigned(void*)>(cache, "_ZNSt13random_device9_M_getvalEv");
  const unsigned result = real(device);
  ::reenact::tools::ProbeCalled("std::random_device",
                                __builtin_return_address(0));
  return result;
}

#endif  // REENACT_NO_PROBES
