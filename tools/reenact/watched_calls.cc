// The functions that are watched: definitions that come before those of the C
// and C++ libraries, each of which forwards and says that it was called. See
// probes.h.
//
// They are defined under other names and bear the real ones as labels, so that
// the headers which declare them do not matter.

#include "tools/reenact/probe_call.h"

#ifndef REENACT_NO_PROBES

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace {

using reenact::tools::InSecondRun;
using reenact::tools::ProbeCalled;
using reenact::tools::ProbeKind;
using reenact::tools::ProbePause;

constexpr ProbeKind kAsks = ProbeKind::kAsks;
constexpr ProbeKind kActs = ProbeKind::kActs;

// The definition of a name that comes after ours, looked up once; when the
// program starts, since a child of a fork may not wait for the lock of that.
class Next {
 public:
  constexpr explicit Next(const char* name) : name_(name) {}
  void* Get() {
    void* found = found_.load(std::memory_order_relaxed);
    if (found == nullptr) {
      found = dlsym(RTLD_NEXT, name_);
      found_.store(found, std::memory_order_relaxed);
    }
    return found;
  }

 private:
  const char* const name_;
  std::atomic<void*> found_{nullptr};
};

struct LookedUp {
  explicit LookedUp(Next& next) { next.Get(); }
};

constexpr int kOtherSeconds =
    1'000'003;  // the second run lives that much later
constexpr int kOtherZone = 5 * 3600 + 1800;  // and that much further east
constexpr unsigned kOtherBits = 0x2545f491U;

// --- other answers -----------------------------------------------------------

int Refused() {
  errno = ENOENT;
  return -1;
}

// What is there is not there in the second run, and the other way round.
int OtherFile(int fd) {
  if (fd < 0) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  return Refused();
}
FILE* OtherFile(FILE* file) {
  if (file == nullptr) return fopen("/dev/null", "r");
  fclose(file);
  errno = ENOENT;
  return nullptr;
}
DIR* OtherFile(DIR* directory) {
  if (directory == nullptr) return opendir("/");
  closedir(directory);
  errno = ENOENT;
  return nullptr;
}
template <typename About>
int OtherAnswer(int result, About* about) {
  std::memset(about, 0, sizeof *about);
  return result == 0 ? Refused() : 0;
}
int OtherAnswer(int result) { return result == 0 ? Refused() : 0; }

// Other bytes than were read.
void ChangeByte(void* bytes) { *static_cast<unsigned char*>(bytes) ^= 1; }
void ChangeName(char* name) { name[0] = name[0] == '~' ? '-' : '~'; }

bool Writes(int flags) {
  return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
}
bool Writes(const char* mode) {
  return mode[0] != 'r' || std::strchr(mode, '+') != nullptr;
}

// What sysconf() knows of this machine rather than of this system.
bool IsMachine(int name) {
  return name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF ||
         name == _SC_PHYS_PAGES || name == _SC_AVPHYS_PAGES;
}

// A thread that is there and is not the caller, since a name of none would not
// do for whoever asks pthread functions about it.
pthread_t OtherThread() {
  static std::atomic<pthread_t> other{0};
  pthread_t found = other.load();
  if (found != 0) return found;
  const ProbePause not_the_step;
  const auto wait = [](void*) -> void* {
    for (;;) pause();
  };
  if (pthread_create(&found, nullptr, wait, nullptr) != 0) return 0;
  pthread_detach(found);
  other.store(found);
  return found;
}

const char* NameOfCall(long number) {
  switch (number) {
    case SYS_gettid:
      return "gettid";
    case SYS_getpid:
      return "getpid";
    case SYS_getppid:
      return "getppid";
    case SYS_getcpu:
      return "getcpu";
    case SYS_getrandom:
      return "getrandom";
    case SYS_clock_gettime:
      return "clock_gettime";
    case SYS_uname:
      return "uname";
    case SYS_openat:
      return "openat";
    case SYS_read:
      return "read";
    case SYS_statx:
      return "stat";
    case SYS_write:
      return "write";
    case SYS_socket:
      return "socket";
    case SYS_connect:
      return "connect";
    default:
      return nullptr;
  }
}
bool IsAct(long number) {
  return number == SYS_write || number == SYS_socket || number == SYS_connect;
}

}  // namespace

#define REENACT_EXPORT extern "C" __attribute__((visibility("default"), used))

// Declares what stands under `symbol` and how it forwards: next(...).
#define REENACT_WATCHED(symbol, type, params)                   \
  static constinit Next next_##symbol{#symbol};                 \
  static const LookedUp looked_up_##symbol{next_##symbol};      \
  REENACT_EXPORT type Watched_##symbol params __asm__(#symbol); \
  type Watched_##symbol params
#define REENACT_NEXT(symbol) \
  reinterpret_cast<decltype(&Watched_##symbol)>(next_##symbol.Get())
#define REENACT_CALLED(name, kind) \
  ProbeCalled(name, kind, __builtin_return_address(0))

// `other`: what makes another `result` of it for the second run.
#define REENACT_ASKS(symbol, name, type, params, args, other) \
  REENACT_WATCHED(symbol, type, params) {                     \
    type result = REENACT_NEXT(symbol) args;                  \
    if (REENACT_CALLED(name, kAsks)) {                        \
      other;                                                  \
    }                                                         \
    return result;                                            \
  }
#define REENACT_ACTS(symbol, name, type, params, args) \
  REENACT_WATCHED(symbol, type, params) {              \
    (void)REENACT_CALLED(name, kActs);                 \
    return REENACT_NEXT(symbol) args;                  \
  }
// What may be either.
#define REENACT_MAY_ACT(symbol, name, acts, type, params, args, other) \
  REENACT_WATCHED(symbol, type, params) {                              \
    type result = REENACT_NEXT(symbol) args;                           \
    if (REENACT_CALLED(name, (acts) ? kActs : kAsks)) {                \
      other;                                                           \
    }                                                                  \
    return result;                                                     \
  }

// --- clocks ------------------------------------------------------------------

REENACT_ASKS(clock_gettime, "clock_gettime", int,
             (clockid_t clock, timespec* now), (clock, now),
             now->tv_sec += kOtherSeconds)
REENACT_ASKS(gettimeofday, "gettimeofday", int, (timeval * now, void* zone),
             (now, zone), now->tv_sec += kOtherSeconds)
REENACT_ASKS(timespec_get, "timespec_get", int, (timespec * now, int base),
             (now, base), now->tv_sec += kOtherSeconds)
REENACT_ASKS(clock, "clock", clock_t, (), (), result += kOtherSeconds)
REENACT_ASKS(times, "times", clock_t, (tms * now), (now),
             result += kOtherSeconds;
             now->tms_utime += kOtherSeconds)
REENACT_ASKS(getrusage, "getrusage", int, (int who, rusage* usage),
             (who, usage), usage->ru_utime.tv_sec += kOtherSeconds;
             usage->ru_maxrss += kOtherSeconds)
REENACT_WATCHED(time, time_t, (time_t * now)) {
  time_t result = REENACT_NEXT(time)(nullptr);
  if (REENACT_CALLED("time", kAsks)) result += kOtherSeconds;
  if (now != nullptr) *now = result;
  return result;
}
// How long one sleeps is nothing that a step gets to know.
REENACT_ASKS(nanosleep, "nanosleep", int,
             (const timespec* time, timespec* left), (time, left), )
REENACT_ASKS(clock_nanosleep, "clock_nanosleep", int,
             (clockid_t clock, int flags, const timespec* time, timespec* left),
             (clock, flags, time, left), )
REENACT_ASKS(usleep, "usleep", int, (useconds_t time), (time), )
REENACT_ASKS(sleep, "sleep", unsigned, (unsigned time), (time), )

// --- the time zone and the locale --------------------------------------------

REENACT_WATCHED(localtime, tm*, (const time_t* time)) {
  const time_t other = *time + kOtherZone;
  return REENACT_NEXT(localtime)(REENACT_CALLED("localtime", kAsks) ? &other
                                                                    : time);
}
REENACT_WATCHED(localtime_r, tm*, (const time_t* time, tm* parts)) {
  const time_t other = *time + kOtherZone;
  return REENACT_NEXT(localtime_r)(
      REENACT_CALLED("localtime", kAsks) ? &other : time, parts);
}
REENACT_WATCHED(ctime, char*, (const time_t* time)) {
  const time_t other = *time + kOtherZone;
  return REENACT_NEXT(ctime)(REENACT_CALLED("ctime", kAsks) ? &other : time);
}
REENACT_WATCHED(ctime_r, char*, (const time_t* time, char* text)) {
  const time_t other = *time + kOtherZone;
  return REENACT_NEXT(ctime_r)(REENACT_CALLED("ctime", kAsks) ? &other : time,
                               text);
}
REENACT_ASKS(mktime, "mktime", time_t, (tm * parts), (parts),
             result += kOtherZone)
REENACT_ASKS(timelocal, "mktime", time_t, (tm * parts), (parts),
             result += kOtherZone)
REENACT_WATCHED(tzset, void, ()) {
  (void)REENACT_CALLED("tzset", kAsks);
  REENACT_NEXT(tzset)();
}

REENACT_MAY_ACT(setlocale, "setlocale", locale != nullptr, char*,
                (int category, const char* locale), (category, locale),
                static char other[] = "reenact";
                result = other)
REENACT_ASKS(newlocale, "newlocale", locale_t,
             (int mask, const char* locale, locale_t base),
             (mask, locale, base), errno = ENOENT;
             result = nullptr)
REENACT_ASKS(localeconv, "localeconv", lconv*, (), (), )
REENACT_ASKS(nl_langinfo, "nl_langinfo", char*, (int item), (item),
             static char other[] = "~";
             result = other)

// --- chance ------------------------------------------------------------------

REENACT_ASKS(rand, "rand", int, (), (),
             result ^= static_cast<int>(kOtherBits >> 1))
REENACT_ASKS(random, "random", long, (), (),
             result ^= static_cast<long>(kOtherBits >> 1))
REENACT_ASKS(drand48, "drand48", double, (), (), result = 1.0 - result / 2)
REENACT_ASKS(lrand48, "lrand48", long, (), (),
             result ^= static_cast<long>(kOtherBits >> 1))
REENACT_ASKS(mrand48, "mrand48", long, (), (),
             result ^= static_cast<long>(kOtherBits >> 1))
REENACT_ASKS(arc4random, "arc4random", std::uint32_t, (), (),
             result ^= kOtherBits)
REENACT_ASKS(arc4random_uniform, "arc4random", std::uint32_t,
             (std::uint32_t bound), (bound), )
REENACT_WATCHED(arc4random_buf, void, (void* bytes, std::size_t size)) {
  (void)REENACT_CALLED("arc4random", kAsks);
  REENACT_NEXT(arc4random_buf)(bytes, size);
}
REENACT_WATCHED(srand, void, (unsigned seed)) {
  (void)REENACT_CALLED("srand", kActs);
  REENACT_NEXT(srand)(seed);
}
REENACT_WATCHED(srandom, void, (unsigned seed)) {
  (void)REENACT_CALLED("srandom", kActs);
  REENACT_NEXT(srandom)(seed);
}
// Two answers differ as they are.
REENACT_ASKS(getrandom, "getrandom", ssize_t,
             (void* bytes, std::size_t size, unsigned flags),
             (bytes, size, flags), )
REENACT_ASKS(getentropy, "getentropy", int, (void* bytes, std::size_t size),
             (bytes, size), )
// std::random_device::operator(), which may draw from the processor itself.
REENACT_ASKS(_ZNSt13random_device9_M_getvalEv, "std::random_device", unsigned,
             (void* device), (device), )

// --- the environment, the machine, and who one is ----------------------------

REENACT_ASKS(getenv, "getenv", char*, (const char* name), (name),
             static char other[] = "reenact";
             result = result == nullptr ? other : nullptr)
REENACT_ASKS(secure_getenv, "getenv", char*, (const char* name), (name),
             static char other[] = "reenact";
             result = result == nullptr ? other : nullptr)
REENACT_ACTS(setenv, "setenv", int,
             (const char* name, const char* value, int overwrite),
             (name, value, overwrite))
REENACT_ACTS(unsetenv, "unsetenv", int, (const char* name), (name))
REENACT_ACTS(putenv, "putenv", int, (char* text), (text))

REENACT_ASKS(gethostname, "gethostname", int, (char* name, std::size_t size),
             (name, size), if (size > 0) ChangeName(name))
REENACT_ASKS(__gethostname_chk, "gethostname", int,
             (char* name, std::size_t size, std::size_t room),
             (name, size, room), if (size > 0) ChangeName(name))
REENACT_ASKS(getdomainname, "getdomainname", int,
             (char* name, std::size_t size), (name, size),
             if (size > 0) ChangeName(name))
REENACT_ASKS(gethostid, "gethostid", long, (), (), ++result)
REENACT_ASKS(uname, "uname", int, (utsname * about), (about),
             ChangeName(about->nodename);
             ChangeName(about->release); ChangeName(about->version))
REENACT_WATCHED(sysconf, long, (int name)) {
  const long result = REENACT_NEXT(sysconf)(name);
  if (!IsMachine(name)) return result;
  return REENACT_CALLED("sysconf", kAsks) ? result + 1 : result;
}
REENACT_ASKS(get_nprocs, "get_nprocs", int, (), (), ++result)
REENACT_ASKS(get_nprocs_conf, "get_nprocs", int, (), (), ++result)
REENACT_ASKS(sched_getaffinity, "sched_getaffinity", int,
             (pid_t process, std::size_t size, cpu_set_t* set),
             (process, size, set), ChangeByte(set))
REENACT_ASKS(pthread_getaffinity_np, "sched_getaffinity", int,
             (pthread_t thread, std::size_t size, cpu_set_t* set),
             (thread, size, set), ChangeByte(set))
REENACT_ASKS(sched_getcpu, "sched_getcpu", int, (), (), ++result)
REENACT_ASKS(getcpu, "getcpu", int, (unsigned* cpu, unsigned* node),
             (cpu, node), if (cpu != nullptr)++* cpu)
REENACT_ASKS(sysinfo, "sysinfo", int, (struct sysinfo * about), (about),
             ++about->procs;
             ++about->freeram; about->uptime += kOtherSeconds)
REENACT_ASKS(getloadavg, "getloadavg", int, (double* loads, int count),
             (loads, count), if (result > 0) loads[0] += 1)

REENACT_ASKS(getpid, "getpid", pid_t, (), (), ++result)
REENACT_ASKS(getppid, "getppid", pid_t, (), (), ++result)
REENACT_ASKS(gettid, "gettid", pid_t, (), (), ++result)
REENACT_ASKS(getuid, "getuid", uid_t, (), (), ++result)
REENACT_ASKS(geteuid, "geteuid", uid_t, (), (), ++result)
REENACT_ASKS(getgid, "getgid", gid_t, (), (), ++result)
REENACT_ASKS(getegid, "getegid", gid_t, (), (), ++result)
REENACT_ASKS(getlogin, "getlogin", char*, (), (),
             static char other[] = "reenact";
             result = result == nullptr ? other : nullptr)
REENACT_ASKS(pthread_self, "pthread_self", pthread_t, (), (),
             result = OtherThread())
REENACT_ASKS(thrd_current, "pthread_self", thrd_t, (), (),
             result = OtherThread())

// --- files -------------------------------------------------------------------

#define REENACT_OPENS(symbol, name)                           \
  REENACT_MAY_ACT(symbol, name, Writes(flags), int,           \
                  (const char* path, int flags, mode_t mode), \
                  (path, flags, mode), result = OtherFile(result))
REENACT_OPENS(open, "open")
REENACT_OPENS(open64, "open")
#undef REENACT_OPENS
#define REENACT_OPENS(symbol, name)                                   \
  REENACT_MAY_ACT(symbol, name, Writes(flags), int,                   \
                  (int at, const char* path, int flags, mode_t mode), \
                  (at, path, flags, mode), result = OtherFile(result))
REENACT_OPENS(openat, "openat")
REENACT_OPENS(openat64, "openat")
#undef REENACT_OPENS
#define REENACT_OPENS(symbol, name)                             \
  REENACT_MAY_ACT(symbol, name, Writes(flags), int,             \
                  (const char* path, int flags), (path, flags), \
                  result = OtherFile(result))
REENACT_OPENS(__open_2, "open")
REENACT_OPENS(__open64_2, "open")
#undef REENACT_OPENS
#define REENACT_OPENS(symbol)                                         \
  REENACT_MAY_ACT(symbol, "fopen", Writes(mode), FILE*,               \
                  (const char* path, const char* mode), (path, mode), \
                  result = OtherFile(result))
REENACT_OPENS(fopen)
REENACT_OPENS(fopen64)
#undef REENACT_OPENS
REENACT_ASKS(opendir, "opendir", DIR*, (const char* path), (path),
             result = OtherFile(result))
REENACT_ASKS(readdir, "readdir", dirent*, (DIR * directory), (directory),
             result = nullptr)
REENACT_ASKS(readdir64, "readdir", dirent*, (DIR * directory), (directory),
             result = nullptr)

#define REENACT_STATS(symbol, about_t)                                  \
  REENACT_ASKS(symbol, "stat", int, (const char* path, about_t* about), \
               (path, about), result = OtherAnswer(result, about))
REENACT_STATS(stat, struct stat)
REENACT_STATS(stat64, struct stat)
REENACT_STATS(lstat, struct stat)
REENACT_STATS(lstat64, struct stat)
#undef REENACT_STATS
REENACT_ASKS(fstat, "stat", int, (int fd, struct stat* about), (fd, about),
             result = OtherAnswer(result, about))
REENACT_ASKS(fstat64, "stat", int, (int fd, struct stat* about), (fd, about),
             result = OtherAnswer(result, about))
REENACT_ASKS(fstatat, "stat", int,
             (int at, const char* path, struct stat* about, int flags),
             (at, path, about, flags), result = OtherAnswer(result, about))
REENACT_ASKS(fstatat64, "stat", int,
             (int at, const char* path, struct stat* about, int flags),
             (at, path, about, flags), result = OtherAnswer(result, about))
REENACT_ASKS(statx, "stat", int,
             (int at, const char* path, int flags, unsigned mask,
              struct statx* about),
             (at, path, flags, mask, about),
             result = OtherAnswer(result, about))
REENACT_ASKS(access, "access", int, (const char* path, int mode), (path, mode),
             result = OtherAnswer(result))
REENACT_ASKS(faccessat, "access", int,
             (int at, const char* path, int mode, int flags),
             (at, path, mode, flags), result = OtherAnswer(result))
REENACT_ASKS(readlink, "readlink", ssize_t,
             (const char* path, char* text, std::size_t size),
             (path, text, size), result = Refused())
REENACT_ASKS(realpath, "realpath", char*, (const char* path, char* resolved),
             (path, resolved), if (result != nullptr) ChangeName(result))
REENACT_ASKS(getcwd, "getcwd", char*, (char* path, std::size_t size),
             (path, size), if (result != nullptr) ChangeName(result))
REENACT_ASKS(__getcwd_chk, "getcwd", char*,
             (char* path, std::size_t size, std::size_t room),
             (path, size, room), if (result != nullptr) ChangeName(result))
REENACT_ASKS(get_current_dir_name, "getcwd", char*, (), (),
             if (result != nullptr) ChangeName(result))

REENACT_ASKS(read, "read", ssize_t, (int fd, void* bytes, std::size_t size),
             (fd, bytes, size), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(__read_chk, "read", ssize_t,
             (int fd, void* bytes, std::size_t size, std::size_t room),
             (fd, bytes, size, room), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(pread, "read", ssize_t,
             (int fd, void* bytes, std::size_t size, off_t at),
             (fd, bytes, size, at), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(pread64, "read", ssize_t,
             (int fd, void* bytes, std::size_t size, off_t at),
             (fd, bytes, size, at), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(readv, "read", ssize_t, (int fd, const iovec* parts, int count),
             (fd, parts, count), if (result > 0) ChangeByte(parts[0].iov_base))
REENACT_ASKS(fread, "fread", std::size_t,
             (void* bytes, std::size_t size, std::size_t count, FILE* file),
             (bytes, size, count, file), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(fgets, "fgets", char*, (char* line, int size, FILE* file),
             (line, size, file), if (result != nullptr) ChangeByte(result))
REENACT_ASKS(fgetc, "fgetc", int, (FILE * file), (file),
             if (result != EOF) result ^= 1)
REENACT_ASKS(getc, "fgetc", int, (FILE * file), (file),
             if (result != EOF) result ^= 1)
REENACT_ASKS(getchar, "getchar", int, (), (), if (result != EOF) result ^= 1)
REENACT_ASKS(getline, "getline", ssize_t,
             (char** line, std::size_t* size, FILE* file), (line, size, file),
             if (result > 0) ChangeByte(*line))

REENACT_ACTS(write, "write", ssize_t,
             (int fd, const void* bytes, std::size_t size), (fd, bytes, size))
REENACT_ACTS(pwrite, "write", ssize_t,
             (int fd, const void* bytes, std::size_t size, off_t at),
             (fd, bytes, size, at))
REENACT_ACTS(pwrite64, "write", ssize_t,
             (int fd, const void* bytes, std::size_t size, off_t at),
             (fd, bytes, size, at))
REENACT_ACTS(writev, "write", ssize_t, (int fd, const iovec* parts, int count),
             (fd, parts, count))
REENACT_ACTS(fwrite, "fwrite", std::size_t,
             (const void* bytes, std::size_t size, std::size_t count,
              FILE* file),
             (bytes, size, count, file))
REENACT_ACTS(fputs, "fputs", int, (const char* text, FILE* file), (text, file))
REENACT_ACTS(puts, "puts", int, (const char* text), (text))
REENACT_ACTS(fputc, "fputc", int, (int c, FILE* file), (c, file))
REENACT_ACTS(putc, "fputc", int, (int c, FILE* file), (c, file))
REENACT_ACTS(putchar, "putchar", int, (int c), (c))
REENACT_ACTS(vfprintf, "fprintf", int,
             (FILE * file, const char* format, va_list list),
             (file, format, list))
REENACT_ACTS(vprintf, "printf", int, (const char* format, va_list list),
             (format, list))
REENACT_ACTS(vdprintf, "dprintf", int,
             (int fd, const char* format, va_list list), (fd, format, list))
// A list of arguments can be handed on as a list only.
#define REENACT_PRINTS(symbol, name, as, params, args)                   \
  REENACT_WATCHED(symbol, int, params) {                                 \
    (void)REENACT_CALLED(name, kActs);                                   \
    va_list list;                                                        \
    va_start(list, format);                                              \
    const int result =                                                   \
        reinterpret_cast<decltype(&Watched_##as)>(next_##as.Get()) args; \
    va_end(list);                                                        \
    return result;                                                       \
  }
REENACT_PRINTS(printf, "printf", vprintf, (const char* format, ...),
               (format, list))
REENACT_PRINTS(fprintf, "fprintf", vfprintf,
               (FILE * file, const char* format, ...), (file, format, list))
REENACT_PRINTS(dprintf, "dprintf", vdprintf, (int fd, const char* format, ...),
               (fd, format, list))
REENACT_PRINTS(__printf_chk, "printf", vprintf, (int, const char* format, ...),
               (format, list))
REENACT_PRINTS(__fprintf_chk, "fprintf", vfprintf,
               (FILE * file, int, const char* format, ...),
               (file, format, list))

REENACT_ACTS(unlink, "unlink", int, (const char* path), (path))
REENACT_ACTS(unlinkat, "unlink", int, (int at, const char* path, int flags),
             (at, path, flags))
REENACT_ACTS(remove, "remove", int, (const char* path), (path))
REENACT_ACTS(rename, "rename", int, (const char* from, const char* to),
             (from, to))
REENACT_ACTS(mkdir, "mkdir", int, (const char* path, mode_t mode), (path, mode))
REENACT_ACTS(rmdir, "rmdir", int, (const char* path), (path))
REENACT_ACTS(truncate, "truncate", int, (const char* path, off_t size),
             (path, size))
REENACT_ACTS(ftruncate, "ftruncate", int, (int fd, off_t size), (fd, size))
REENACT_ACTS(mkstemp, "mkstemp", int, (char* path), (path))
REENACT_ACTS(mkstemp64, "mkstemp", int, (char* path), (path))
REENACT_ACTS(tmpfile, "tmpfile", FILE*, (), ())
REENACT_ACTS(tmpfile64, "tmpfile", FILE*, (), ())
REENACT_ACTS(chdir, "chdir", int, (const char* path), (path))

// --- sockets -----------------------------------------------------------------

REENACT_ACTS(socket, "socket", int, (int domain, int type, int protocol),
             (domain, type, protocol))
REENACT_ACTS(connect, "connect", int,
             (int fd, const sockaddr* to, socklen_t size), (fd, to, size))
REENACT_ACTS(bind, "bind", int, (int fd, const sockaddr* to, socklen_t size),
             (fd, to, size))
REENACT_ACTS(accept, "accept", int, (int fd, sockaddr* who, socklen_t* size),
             (fd, who, size))
REENACT_ACTS(send, "send", ssize_t,
             (int fd, const void* bytes, std::size_t size, int flags),
             (fd, bytes, size, flags))
REENACT_ACTS(sendto, "send", ssize_t,
             (int fd, const void* bytes, std::size_t size, int flags,
              const sockaddr* to, socklen_t to_size),
             (fd, bytes, size, flags, to, to_size))
REENACT_ASKS(recv, "recv", ssize_t,
             (int fd, void* bytes, std::size_t size, int flags),
             (fd, bytes, size, flags), if (result > 0) ChangeByte(bytes))
REENACT_ASKS(recvfrom, "recv", ssize_t,
             (int fd, void* bytes, std::size_t size, int flags, sockaddr* from,
              socklen_t* from_size),
             (fd, bytes, size, flags, from, from_size),
             if (result > 0) ChangeByte(bytes))
REENACT_ASKS(getaddrinfo, "getaddrinfo", int,
             (const char* host, const char* service, const addrinfo* hints,
              addrinfo** found),
             (host, service, hints, found),
             if (result == 0) freeaddrinfo(*found);
             result = EAI_FAIL)
REENACT_ASKS(gethostbyname, "gethostbyname", hostent*, (const char* name),
             (name), result = nullptr)

// --- threads and processes ---------------------------------------------------

REENACT_ACTS(pthread_create, "pthread_create", int,
             (pthread_t * thread, const pthread_attr_t* attributes,
              void* (*body)(void*), void* argument),
             (thread, attributes, body, argument))
REENACT_ACTS(thrd_create, "pthread_create", int,
             (thrd_t * thread, int (*body)(void*), void* argument),
             (thread, body, argument))
REENACT_ACTS(fork, "fork", pid_t, (), ())
REENACT_ACTS(system, "system", int, (const char* command), (command))
REENACT_ACTS(popen, "popen", FILE*, (const char* command, const char* mode),
             (command, mode))
REENACT_ACTS(posix_spawn, "posix_spawn", int,
             (pid_t * child, const char* path, const void* actions,
              const void* attributes, char* const* argv, char* const* envp),
             (child, path, actions, attributes, argv, envp))
REENACT_ACTS(posix_spawnp, "posix_spawn", int,
             (pid_t * child, const char* path, const void* actions,
              const void* attributes, char* const* argv, char* const* envp),
             (child, path, actions, attributes, argv, envp))
REENACT_ACTS(kill, "kill", int, (pid_t process, int signal), (process, signal))

// --- past the library --------------------------------------------------------

REENACT_WATCHED(syscall, long,
                (long number, long a, long b, long c, long d, long e, long f)) {
  long result = REENACT_NEXT(syscall)(number, a, b, c, d, e, f);
  const char* const name = NameOfCall(number);
  if (name == nullptr) return result;
  if (REENACT_CALLED(name, IsAct(number) ? kActs : kAsks)) ++result;
  return result;
}

// --- orders ------------------------------------------------------------------

// std::__detail::_Prime_rehash_policy, which says how many buckets a std
// unordered container has: in the second run one of the next larger number, so
// that the order of what was inserted is another one, as it is from library to
// library. Tables that are there already stay as they are.
REENACT_WATCHED(_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm,
                std::size_t, (const void* policy, std::size_t at_least)) {
  auto* const next =
      REENACT_NEXT(_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm);
  const std::size_t result = next(policy, at_least);
  return InSecondRun() ? next(policy, result + 1) : result;
}

using Rehash = std::pair<bool, std::size_t>;
static constinit Next next_need_rehash{
    "_ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm"};
static const LookedUp looked_up_need_rehash{next_need_rehash};
__attribute__((visibility("default"), used)) Rehash
Watched_need_rehash(const void* policy, std::size_t buckets, std::size_t elements, std::size_t more) __asm__(
    "_ZNKSt8__detail20_Prime_rehash_policy14_M_need_rehashEmmm");
Rehash Watched_need_rehash(const void* policy, std::size_t buckets,
                           std::size_t elements, std::size_t more) {
  Rehash result = reinterpret_cast<decltype(&Watched_need_rehash)>(
      next_need_rehash.Get())(policy, buckets, elements, more);
  if (!result.first || !InSecondRun()) return result;
  auto* const next =
      REENACT_NEXT(_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm);
  result.second = next(policy, result.second + 1);
  return result;
}

#endif  // REENACT_NO_PROBES
