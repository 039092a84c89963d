// Somebody else on the machine.

#ifndef REENACT_BENCH_NEIGHBOUR_H_
#define REENACT_BENCH_NEIGHBOUR_H_

#include <sys/types.h>

#include <memory>

#include "reenact/base/status.h"

namespace reenact::bench {

// A process that wants one core and does nothing with it, as long as this lives
// and the process that made it, and for no more than ten minutes of the core's
// time.
class Neighbour {
 public:
  // Unavailable: the system has no process to give.
  static absl::StatusOr<std::unique_ptr<Neighbour>> Start();
  ~Neighbour();
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;

 private:
  explicit Neighbour(pid_t process) : process_(process) {}

  const pid_t process_;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_NEIGHBOUR_H_
