// A disk that says no: the n-th call of some kind fails, once or from then on.

#ifndef REENACT_HARNESS_DISK_FAULTY_DISK_H_
#define REENACT_HARNESS_DISK_FAULTY_DISK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>

#include "reenact/base/disk_watch.h"

namespace reenact::disk {

struct Fault {
  // Which calls count; a bit for each Call::What.
  std::uint32_t calls = 0;
  int error = 0;           // EIO, ENOSPC, ...
  std::uint64_t nth = 1;   // of them that fails, from 1
  bool for_good = false;   // and all later ones
  bool half = false;       // a write writes its first half before it fails
  std::string below = {};  // only paths that contain this
};

constexpr std::uint32_t Calls(std::initializer_list<Call::What> some) {
  std::uint32_t bits = 0;
  for (const Call::What what : some) {
    bits |= 1U << static_cast<unsigned>(what);
  }
  return bits;
}

// Thread safety: any thread.
class FaultyDisk final : public Watcher {
 public:
  explicit FaultyDisk(Fault fault) : fault_(std::move(fault)) {}

  int Before(Call* call, std::uint64_t* mark) override;
  void After(const Call&, std::uint64_t) override {}
  void Read(std::string_view, std::uint64_t, char*, std::size_t) override {}

  // Called before each failure, by the thread that gets it. Set while nothing
  // is done to the disk.
  void SetFiring(std::function<void(const Call&)> firing) {
    firing_ = std::move(firing);
  }
  // How many calls have failed.
  std::uint64_t fired() const { return fired_; }
  // From now on nothing fails.
  void Repair() { repaired_ = true; }

 private:
  const Fault fault_;
  std::function<void(const Call&)> firing_;
  std::atomic<std::uint64_t> seen_{0};
  std::atomic<std::uint64_t> fired_{0};
  std::atomic<bool> repaired_{false};
};

}  // namespace reenact::disk

#endif  // REENACT_HARNESS_DISK_FAULTY_DISK_H_
