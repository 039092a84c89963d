// Everything that a step can look at, or do, by mistake: one kind at a time, by
// the environment variable REENACT_KIND when the module is loaded. Each counts
// on as the counter example does, and adds what it saw.

#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <locale>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "examples/counter/counter.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/module.h"

namespace {

// What the step's cell counted before, and what the event adds.
struct Given {
  std::int64_t before;
  std::int64_t add;
};
using Look = std::function<std::uint64_t(const Given&)>;

std::uint64_t Sum(const char* text) {
  std::uint64_t sum = 7;
  for (; *text != '\0'; ++text) {
    sum = sum * 31 + static_cast<unsigned char>(*text);
  }
  return sum;
}
std::uint64_t Address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
std::uint64_t Nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_nsec);
}

int a_global = 0;

// Read where nothing was written.
__attribute__((noinline)) std::uint64_t Unset() {
  unsigned char bytes[4096];       // deeper than what the step called before
  asm volatile("" : "=m"(bytes));  // as if it had been; nothing was
  return bytes[1024];
}

template <typename Table>
std::uint64_t FoldInOrder(Table table) {
  for (int i = 0; i < 40; ++i) table["item " + std::to_string(i)] = i;
  std::uint64_t fold = 0;
  for (const auto& [name, value] : table) {
    fold = fold * 31 + static_cast<std::uint64_t>(value);
  }
  return fold;
}

std::uint64_t OrderOfPointers() {
  std::vector<std::unique_ptr<int>> items;
  std::set<int*> by_address;
  for (int i = 0; i < 6; ++i) {
    items.push_back(std::make_unique<int>(i));
    by_address.insert(items.back().get());
  }
  std::uint64_t fold = 0;
  for (const int* item : by_address) {
    fold = fold * 31 + static_cast<std::uint64_t>(*item);
  }
  return fold;
}

std::uint64_t OfFile(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return Sum(line.c_str());
}

std::uint64_t Entries(const char* path) {
  DIR* const directory = opendir(path);
  if (directory == nullptr) return 0;
  std::uint64_t count = 1;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

std::uint64_t Connected(bool connects) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return 0;
  if (connects) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(1);  // nobody is there
    (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  close(fd);
  return 0;
}

const std::map<std::string, Look>& Looks() {
  static const std::map<std::string, Look> looks = {
      {"a clock", [](const Given&) { return Nanoseconds(); }},
      {"a clock, at every 64th event",
       [](const Given& given) {
         return given.before % 64 == 63 ? Nanoseconds() : 0;
       }},
      {"rand()",
       [](const Given&) { return static_cast<std::uint64_t>(std::rand()); }},
      {"std::random_device",
       [](const Given&) { return std::uint64_t{std::random_device()()}; }},
      {"getenv()",
       [](const Given&) {
         const char* const value = std::getenv("HOME");
         return value == nullptr ? 0 : Sum(value);
       }},
      {"environ",
       [](const Given&) {
         std::uint64_t sum = 0;
         for (char** one = environ; *one != nullptr; ++one) sum += Sum(*one);
         return sum;
       }},
      {"the time zone",
       [](const Given&) {
         const time_t then = 1'700'000'000;
         tm parts{};
         localtime_r(&then, &parts);
         return static_cast<std::uint64_t>(parts.tm_hour);
       }},
      {"the locale",
       [](const Given&) { return Sum(std::setlocale(LC_ALL, nullptr)); }},
      {"a locale by name",
       [](const Given&) { return Sum(std::locale("").name().c_str()); }},
      {"the host's name",
       [](const Given&) {
         char name[256] = "";
         (void)gethostname(name, sizeof name - 1);
         return Sum(name);
       }},
      {"uname()",
       [](const Given&) {
         utsname about{};
         uname(&about);
         return Sum(about.release);
       }},
      {"the number of cores",
       [](const Given&) {
         return std::uint64_t{std::thread::hardware_concurrency()};
       }},
      {"sysconf()",
       [](const Given&) {
         return static_cast<std::uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
       }},
      {"sched_getcpu()",
       [](const Given&) { return static_cast<std::uint64_t>(sched_getcpu()); }},
      {"getcpu()",
       [](const Given&) {
         unsigned cpu = 0;
         (void)getcpu(&cpu, nullptr);
         return std::uint64_t{cpu};
       }},
      {"the process's id",
       [](const Given&) { return static_cast<std::uint64_t>(getpid()); }},
      {"gettid()",
       [](const Given&) { return static_cast<std::uint64_t>(gettid()); }},
      {"gettid() by syscall()",
       [](const Given&) {
         return static_cast<std::uint64_t>(syscall(SYS_gettid));
       }},
      {"the thread's id",
       [](const Given&) {
         return std::uint64_t{
             std::hash<std::thread::id>()(std::this_thread::get_id())};
       }},
      {"the user's id", [](const Given&) { return std::uint64_t{getuid()}; }},
      {"the working directory",
       [](const Given&) {
         char path[4096] = "";
         return getcwd(path, sizeof path) == nullptr ? 0 : Sum(path);
       }},
      {"reading a file", [](const Given&) { return OfFile("/etc/passwd"); }},
      {"whether a file is there",
       [](const Given&) {
         return std::uint64_t{access("/nowhere/at/all", F_OK) == 0};
       }},
      {"stat()",
       [](const Given&) {
         struct stat about {};
         (void)stat("/etc/passwd", &about);
         return static_cast<std::uint64_t>(about.st_size);
       }},
      {"reading a directory", [](const Given&) { return Entries("/etc"); }},
      {"writing a file",
       [](const Given&) {
         std::ofstream("/dev/null", std::ios::app) << "a line\n";
         return std::uint64_t{0};
       }},
      {"writing to stdout",
       [](const Given&) {
         const char* volatile nothing = "";  // or it were left out
         std::fputs(nothing, stdout);
         return std::uint64_t{0};
       }},
      {"a socket", [](const Given&) { return Connected(false); }},
      {"connecting", [](const Given&) { return Connected(true); }},
      {"a thread of its own",
       [](const Given&) {
         std::thread([] {}).join();
         return std::uint64_t{0};
       }},
      {"the address of a global",
       [](const Given&) { return Address(&a_global); }},
      {"the address of a function",
       [](const Given&) {
         return static_cast<std::uint64_t>(
             reinterpret_cast<std::uintptr_t>(&Nanoseconds));
       }},
      {"an address of the C library",
       [](const Given&) { return Address(stdout); }},
      {"an address on the stack",
       [](const Given& given) { return Address(&given); }},
      {"an address on the heap",
       [](const Given&) { return Address(std::make_unique<int>(1).get()); }},
      {"the order of pointers", [](const Given&) { return OrderOfPointers(); }},
      {"the order of a std::unordered_map",
       [](const Given&) {
         return FoldInOrder(std::unordered_map<std::string, int>());
       }},
      {"a variable that was never set", [](const Given&) { return Unset(); }},
      {"a static counter",
       [](const Given&) {
         static std::atomic<std::uint64_t> counter{0};
         return ++counter;
       }},
      {"the first value, kept in a static",
       [](const Given& given) {
         static const std::int64_t first = given.add;
         return static_cast<std::uint64_t>(first);
       }},
      {"a thread_local memo",
       [](const Given& given) {
         thread_local std::map<std::int64_t, std::int64_t> memo;
         return static_cast<std::uint64_t>(
             memo.try_emplace(given.add % 5, given.before).first->second);
       }},
      {"nothing: a pure step", [](const Given&) { return std::uint64_t{0}; }},
      // By Touch(), below.
      {"a Touch() that differs", [](const Given&) { return std::uint64_t{0}; }},
  };
  return looks;
}

class Kind final : public reenact::Reducer {
 public:
  explicit Kind(std::string kind)
      : touches_(kind == "a Touch() that differs"), look_(Looks().at(kind)) {}

  std::string_view name() const override { return "counter"; }

  absl::Status Step(reenact::StepContext& step) const override {
    Given given{0, 0};
    if (const auto state = step.state()) {
      REENACT_ASSIGN_OR_RETURN(given.before,
                               reenact::cbor::DecodeInteger(*state));
    }
    given.add = reenact::cbor::DecodeInteger(step.payload()).value_or(1);
    const std::uint64_t seen = look_(given);
    // The low bits count events, as long as a step looks at nothing.
    step.SetState(reenact::cbor::EncodeInteger(
        given.before + 1 + static_cast<std::int64_t>(seen % 1'000'003) * 4096));
    return absl::OkStatus();
  }

  void Touch(const reenact::EventView&,
             reenact::TouchSet& touches) const override {
    static std::atomic<int> calls{0};
    if (touches_) {
      touches.Reads("counter", "other " + std::to_string(++calls % 3));
    }
  }

 private:
  const bool touches_;
  const Look look_;
};

}  // namespace

REENACT_MODULE(registry) {
  registry.SetName("counter", "1.0.0");
  const char* const kind = std::getenv("REENACT_KIND");
  registry.AddReducer(
      std::make_shared<Kind>(kind == nullptr ? "nothing: a pure step" : kind));
  registry.SetInputMapper(reenact::examples::MapCounterRow);
}
