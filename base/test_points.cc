#include "reenact/base/test_points.h"

#if defined(REENACT_INSTRUMENTED)

// What the linker says about the section of that name.
extern "C" {
extern reenact::instrument::Point __start_reenact_points[];
extern reenact::instrument::Point __stop_reenact_points[];
}

namespace reenact::instrument {

namespace {
std::atomic<FailpointHandler> failpoint_handler{nullptr};
}  // namespace

PointRange Points() {
  // So that the section is there even in a program that has none of the others.
  REENACT_PROBE("instrument.points_listed");
  return {__start_reenact_points, __stop_reenact_points};
}

void SetFailpointHandler(FailpointHandler handler) {
  failpoint_handler.store(handler);
}

absl::Status ReachFailpoint(Point& point) {
  point.hits.fetch_add(1, std::memory_order_relaxed);
  if (point.armed.load(std::memory_order_relaxed) == 0) return absl::OkStatus();
  const FailpointHandler handler = failpoint_handler.load();
  return handler == nullptr ? absl::OkStatus() : handler(point);
}

}  // namespace reenact::instrument

#endif  // REENACT_INSTRUMENTED
