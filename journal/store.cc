#include "reenact/journal/store.h"

#include "reenact/kernel/check.h"

namespace reenact {
namespace {

std::uint32_t Size32(BytesView bytes) {
  REENACT_CHECK(bytes.size() <= 0xffffffffU);
  return static_cast<std::uint32_t>(bytes.size());
}

}  // namespace

void CellBatch::Add(ReducerId reducer, std::string_view key, EventId version,
                    std::optional<BytesView> state) {
  const BytesView value = state.value_or(BytesView());
  rows_.push_back(Slice{arena_.size(), Size32(key), Size32(value), reducer,
                        state.has_value(), version});
  arena_.append(key);
  arena_.append(value);
}

CellBatch::Row CellBatch::operator[](std::size_t index) const {
  REENACT_CHECK(index < rows_.size());
  const Slice& slice = rows_[index];
  const BytesView bytes(arena_);
  Row row{slice.reducer, bytes.substr(slice.offset, slice.key_size),
          slice.version, std::nullopt};
  if (slice.exists) {
    row.state = bytes.substr(slice.offset + slice.key_size, slice.state_size);
  }
  return row;
}

void CellBatch::Clear() {
  arena_.clear();
  rows_.clear();
}

}  // namespace reenact
