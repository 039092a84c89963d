#ifndef REENACT_TESTS_WORKERS_MAP_SOURCE_H_
#define REENACT_TESTS_WORKERS_MAP_SOURCE_H_

#include <map>
#include <string>
#include <utility>

#include "reenact/workers/cells.h"

namespace reenact {

// Cells in a map, and an error if that is wanted.
class MapSource final : public CellSource {
 public:
  std::map<std::pair<ReducerId, std::string>, Stored> cells;
  absl::Status error;

  absl::StatusOr<std::optional<Stored>> Load(ReducerId reducer,
                                             std::string_view key) override {
    if (!error.ok()) return error;
    const auto it = cells.find({reducer, std::string(key)});
    if (it == cells.end()) return std::optional<Stored>();
    return std::optional<Stored>(it->second);
  }
  absl::Status Scan(
      ReducerId reducer, std::string_view from, std::string_view to,
      const std::function<absl::Status(std::string_view, EventId, BytesView)>&
          visit) override {
    for (const auto& [cell, stored] : cells) {
      if (cell.first != reducer || cell.second < from) continue;
      if (!to.empty() && cell.second >= to) continue;
      const absl::Status status =
          visit(cell.second, stored.version, stored.state);
      if (absl::IsCancelled(status)) return absl::OkStatus();
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }
};

}  // namespace reenact

#endif  // REENACT_TESTS_WORKERS_MAP_SOURCE_H_
