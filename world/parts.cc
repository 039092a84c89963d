#include "reenact/world/parts.h"

#include <chrono>

#include "reenact/base/instrument.h"

namespace reenact {
namespace {

LogicalTime MachineTime() {
  if (instrument::Conducted()) {
    return LogicalTime{static_cast<std::int64_t>(instrument::NowNs() / 1000)};
  }
  return LogicalTime{std::chrono::duration_cast<std::chrono::microseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count()};
}

}  // namespace

Bytes EncodeToBytes(const Entry& entry) {
  Bytes bytes;
  EncodeEntry(entry, &bytes);
  return bytes;
}

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError(
      "memory has run out; open the world again when there is some");
}

absl::Status WorldParts::CauseOf(const absl::Status& what) const {
  if (what.ok()) return what;
  const absl::Status owner = storage->CheckOwner();
  return owner.ok() ? what : owner;
}

LogicalTime WorldParts::WallTime() const {
  return options.wall_clock ? options.wall_clock() : MachineTime();
}

void WorldParts::NotifyDurable() {
  if (writer == nullptr) return;
  submissions.watermark().Advance(REENACT_PLANTED("committed is called durable")
                                      ? window->committed()
                                      : writer->durable());
  notifier->DeliverDurable([this] { return writer->block_count(); });
}

}  // namespace reenact
