#include "reenact/harness/disk/faulty_disk.h"

namespace reenact::disk {

int FaultyDisk::Before(Call* call, std::uint64_t*) {
  const std::uint32_t bit = 1U << static_cast<unsigned>(call->what);
  if (repaired_ || (fault_.calls & bit) == 0) return 0;
  if (!fault_.below.empty() &&
      call->path.find(fault_.below) == std::string_view::npos) {
    return 0;
  }
  const std::uint64_t nth = ++seen_;
  const bool halves =
      fault_.half && call->what == Call::What::kWrite && call->bytes.size() > 1;
  // The rest of the write is the next call.
  if (halves && nth == fault_.nth) {
    call->bytes = call->bytes.substr(0, call->bytes.size() / 2);
    return 0;
  }
  const std::uint64_t fails = fault_.nth + (fault_.half ? 1 : 0);
  if (nth != fails && !(fault_.for_good && nth > fails)) return 0;
  ++fired_;
  if (firing_) firing_(*call);
  return fault_.error;
}

}  // namespace reenact::disk
