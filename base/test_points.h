// Places in the code that have a name: failpoints, coverage probes and planted
// bugs. A harness lists, counts and arms them.
//
// They exist only where REENACT_INSTRUMENTED is defined (the CMake option
// REENACT_INSTRUMENT, or the target reenact_instrumented). Elsewhere each macro
// leaves its condition and nothing else.
//
//   if (REENACT_SEEN(list.empty(), "queue: nothing is left")) return;
//
// A probe is a sign that a test reached a place, so it changes nothing.

#ifndef REENACT_BASE_TEST_POINTS_H_
#define REENACT_BASE_TEST_POINTS_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"

namespace reenact::instrument {

enum class Kind : std::uint32_t { kFailpoint = 1, kProbe = 2, kPlantedBug = 3 };

// One place in the kernel, in a section of its own so that all of them can be
// listed whether they were reached or not.
//
// Thread safety: any thread.
struct alignas(32) Point {
  const char* name;
  Kind kind;
  // A planted bug: it is there. A failpoint: something waits for it.
  std::atomic<std::uint32_t> armed;
  std::atomic<std::uint64_t> hits;
};
static_assert(sizeof(Point) == 32);

#if defined(REENACT_INSTRUMENTED)

// All points of this program, [begin, end), in no order that means anything; a
// name may stand there more than once.
struct PointRange {
  Point* first;
  Point* last;
  Point* begin() const { return first; }
  Point* end() const { return last; }
};
PointRange Points();

// What happens at failpoints, while it is set: called with each one that is
// armed, its count of hits included; a status other than OK is what the kernel
// gets to see. It may also end the process. Null: nothing.
using FailpointHandler = absl::Status (*)(Point& point);
void SetFailpointHandler(FailpointHandler handler);
absl::Status ReachFailpoint(Point& point);

// In functions that are not inline and no templates: a section of a comdat is
// another one.
#define REENACT_POINT_(kind, text)                                  \
  static ::reenact::instrument::Point reenact_point __attribute__(( \
      section("reenact_points"), used)) = {text, kind, {0}, {0}}

// The kernel came by here.
#define REENACT_PROBE(name)                                     \
  do {                                                          \
    REENACT_POINT_(::reenact::instrument::Kind::kProbe, name);  \
    reenact_point.hits.fetch_add(1, std::memory_order_relaxed); \
  } while (false)

// And so it did while `condition` held.
#define REENACT_PROBE_IF(condition, name) \
  do {                                    \
    if (condition) REENACT_PROBE(name);   \
  } while (false)

// Whether `condition` holds; if so, the kernel came by here.
#define REENACT_SEEN(condition, name)                            \
  ((condition) && ([]() -> bool {                                \
     REENACT_POINT_(::reenact::instrument::Kind::kProbe, name);  \
     reenact_point.hits.fetch_add(1, std::memory_order_relaxed); \
     return true;                                                \
   }()))

// A moment that matters after a crash; an error returned there is ignored.
#define REENACT_FAILPOINT(name)                                         \
  do {                                                                  \
    REENACT_POINT_(::reenact::instrument::Kind::kFailpoint, name);      \
    ::reenact::instrument::ReachFailpoint(reenact_point).IgnoreError(); \
  } while (false)

// The same where an error may happen: returns it.
#define REENACT_FAILPOINT_RETURN(name)                             \
  do {                                                             \
    REENACT_POINT_(::reenact::instrument::Kind::kFailpoint, name); \
    if (absl::Status reenact_status =                              \
            ::reenact::instrument::ReachFailpoint(reenact_point);  \
        !reenact_status.ok()) {                                    \
      return reenact_status;                                       \
    }                                                              \
  } while (false)

// Whether the kernel is to be wrong here, so that the harness can show that it
// would see it.
#define REENACT_PLANTED(name)                                       \
  ([]() -> bool {                                                   \
    REENACT_POINT_(::reenact::instrument::Kind::kPlantedBug, name); \
    if (reenact_point.armed.load(std::memory_order_relaxed) == 0)   \
      return false;                                                 \
    reenact_point.hits.fetch_add(1, std::memory_order_relaxed);     \
    return true;                                                    \
  }())

#else

#define REENACT_PROBE(name) \
  do {                      \
  } while (false)
#define REENACT_PROBE_IF(condition, name) \
  do {                                    \
  } while (false)
#define REENACT_SEEN(condition, name) (condition)
#define REENACT_FAILPOINT(name) \
  do {                          \
  } while (false)
#define REENACT_FAILPOINT_RETURN(name) \
  do {                                 \
  } while (false)
#define REENACT_PLANTED(name) false

#endif  // REENACT_INSTRUMENTED

}  // namespace reenact::instrument

#endif  // REENACT_BASE_TEST_POINTS_H_
