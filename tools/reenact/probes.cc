#include "tools/reenact/probes.h"

#include <map>
#include <mutex>
#include <utility>

#include "tools/reenact/probe_call.h"

#ifdef REENACT_NO_PROBES

namespace reenact::tools {

bool ProbesExist() { return false; }
void PrepareProbes() {}
void ObserveStep(bool, int, std::string_view, std::string_view, EventId) {}
std::vector<ProbeNote> ProbeNotes() { return {}; }
std::vector<ProbeNote> TakeProbeNotes() { return {}; }

}  // namespace reenact::tools

#else

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <unwind.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

namespace reenact::tools {
namespace {

constexpr std::size_t kLatestStepsMax = 512;

// The step that this thread runs. Plain data: probes may be called before
// constructors have run.
struct Running {
  bool active = false;   // a step runs, and the probe itself does not
  bool perturb = false;  // it is the step's second run
  std::string_view reducer;
  std::string_view key;
  std::uint64_t event_id = 0;
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

// Whether it is code of the C or C++ library: of its own, or what its headers
// define, of which the executable may have the one copy that all modules share.
bool IsRuntimeCode(const Library& library, std::uintptr_t address) {
  if (library.is_runtime) return true;
  if (&library != &OwnLibraries().front()) return false;
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(address), &info) == 0) return false;
  const std::string_view name = info.dli_sname == nullptr ? "" : info.dli_sname;
  return name.rfind("_ZNSt", 0) == 0 || name.rfind("_ZNKSt", 0) == 0 ||
         name.rfind("_ZSt", 0) == 0;
}

// Whether the call that led to the probe came from a module, be it through the
// C++ library (std::chrono) or directly.
struct Walk {
  std::uintptr_t caller = 0;  // of the probe
  bool left_probe = false;
  bool from_module = false;
};

_Unwind_Reason_Code OnFrame(_Unwind_Context* context, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  const std::uintptr_t address = _Unwind_GetIP(context);
  walk.left_probe = walk.left_probe || address == walk.caller;
  if (!walk.left_probe) return _URC_NO_REASON;
  const Library* library = OwnLibraryOf(address);
  if (library == nullptr) {
    walk.from_module = true;
    return _URC_END_OF_STACK;
  }
  return IsRuntimeCode(*library, address) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

bool CalledByModule(std::uintptr_t caller) {
  Walk walk{.caller = caller};
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

void Note(const char* function, ProbeKind kind) {
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  ProbeNote& note = book.notes[{std::string(running.reducer), function}];
  if (note.calls++ == 0 || running.event_id < note.first.value) {
    note.reducer = running.reducer;
    note.function = function;
    note.first = EventId{running.event_id};
    note.first_key = running.key;
  }
  note.acts = note.acts || kind == ProbeKind::kActs;
  note.latest_steps.insert(running.event_id);
  if (note.latest_steps.size() > kLatestStepsMax) {
    note.latest_steps.erase(note.latest_steps.begin());
  }
}

// --- memory that the second run finds otherwise ------------------------------

// A heap that was shuffled before each step would take more time than the
// steps: the first so many are, and every so manieth of the rest.
constexpr std::uint64_t kShuffledSteps = 256;
constexpr unsigned char kPaint[] = {0x00, 0xa5};

// What a step finds in a variable that it never set.
__attribute__((noinline)) void PaintStack(bool second) {
  unsigned char paint[8192];
  std::memset(paint, kPaint[second], sizeof paint);
  asm volatile("" : : "r"(paint) : "memory");
}

// The next small blocks lie one above the other; in the second run one below
// the other, so that an order of addresses is another one. The C library gives
// blocks of one size back last in, first out, and keeps seven of each.
__attribute__((noinline)) void ShuffleHeap(bool second) {
  constexpr std::size_t kKept = 7;
  constexpr std::size_t kSmallest = 24, kLargest = 280, kStep = 16;
  for (std::size_t size = kSmallest; size <= kLargest; size += kStep) {
    void* blocks[kKept];
    for (void*& block : blocks) {
      block = malloc(size);
      if (block != nullptr) std::memset(block, kPaint[second], size);
    }
    std::sort(blocks, blocks + kKept, std::less<void*>());
    if (!second) std::reverse(blocks, blocks + kKept);
    for (void* const block : blocks) free(block);
  }
}

}  // namespace

bool ProbeCalled(const char* function, ProbeKind kind, const void* caller) {
  if (__builtin_expect(!running.active, 1)) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(caller);
  const Library* const library = OwnLibraryOf(address);
  if (library != nullptr && !library->is_runtime &&
      library != &OwnLibraries().front()) {
    return false;  // most often it is the database
  }
  running.active = false;  // what follows may call a probe
  const int error = errno;
  const bool counts = CalledByModule(address);
  if (counts) Note(function, kind);
  errno = error;
  running.active = true;
  return counts && running.perturb && kind == ProbeKind::kAsks;
}

bool InSecondRun() { return running.active && running.perturb; }

ProbePause::ProbePause() : was_(std::exchange(running.active, false)) {}
ProbePause::~ProbePause() { running.active = was_; }

bool ProbesExist() { return true; }

void PrepareProbes() {
  if (OwnLibraries().empty()) dl_iterate_phdr(AddLibrary, nullptr);
}

void ObserveStep(bool begins, int run, std::string_view reducer,
                 std::string_view key, EventId event_id) {
  if (!begins) {
    running.active = false;
    return;
  }
  running.perturb = run > 0;
  running.reducer = reducer;
  running.key = key;
  running.event_id = event_id.value;
  const bool sampled =
      event_id.value <= kShuffledSteps || event_id.value % kShuffledSteps == 0;
  if (sampled) ShuffleHeap(running.perturb);
  PaintStack(running.perturb);
  running.active = true;
}

std::vector<ProbeNote> ProbeNotes() {
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  std::vector<ProbeNote> notes;
  for (const auto& [name, note] : book.notes) notes.push_back(note);
  return notes;
}

std::vector<ProbeNote> TakeProbeNotes() {
  std::vector<ProbeNote> notes = ProbeNotes();
  Book& book = TheBook();
  const std::lock_guard<std::mutex> lock(book.mutex);
  book.notes.clear();
  return notes;
}

}  // namespace reenact::tools

#endif  // REENACT_NO_PROBES
