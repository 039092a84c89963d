#include "reenact/journal/store.h"

#include "reenact/base/check.h"

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

void CellBatch::Clear() {
  arena_.clear();
  rows_.clear();
}

}  // namespace reenact
