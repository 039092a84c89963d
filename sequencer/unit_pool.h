// Where units come from, and go back to.

#ifndef REENACT_SEQUENCER_UNIT_POOL_H_
#define REENACT_SEQUENCER_UNIT_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/sequencer/sequencer.h"

namespace reenact {

struct Entity;

// A unit in the pool. While it waits it is in the queue of its entity, and in
// the list of all that are queued; or in the queue of what a round raised.
struct Queued : Unit {
  EventId stamp;  // the age of its wait counts from here
  Entity* entity = nullptr;
  Queued* behind = nullptr;  // in its queue, or in the pool
  Queued* older = nullptr;
  Queued* newer = nullptr;
  // Among all that are queued; for Encode() only.
  std::uint32_t place = 0;
  bool out = false;  // it is the caller's
};

// Objects that are handed out again instead of freed; all go together. They
// are linked by the field `kNext`.
template <typename T, T* T::*kNext>
class Recycler {
 public:
  // The object's fields are what they were.
  T* Get() {
    if (ABSL_PREDICT_FALSE(empty())) Grow();
    T* const object = spare_;
    spare_ = object->*kNext;
    return object;
  }
  void Put(T* object) {
    object->*kNext = spare_;
    spare_ = object;
  }

  bool empty() const { return spare_ == nullptr; }
  ABSL_ATTRIBUTE_NOINLINE void Grow() {
    T* const objects = all_.emplace_back(std::make_unique<T[]>(kAtOnce)).get();
    for (std::size_t i = kAtOnce; i > 0; --i) Put(&objects[i - 1]);
  }

 private:
  static constexpr std::size_t kAtOnce = 64;

  std::vector<std::unique_ptr<T[]>> all_;
  T* spare_ = nullptr;
};

// More than that a string does not keep when its unit is recycled, so that a
// burst of great payloads does not stay for ever.
inline constexpr std::size_t kKeptBytes = 1024;

inline bool IsGreat(const std::string& text) {
  return text.capacity() > kKeptBytes;
}

ABSL_ATTRIBUTE_NOINLINE inline void DropMemory(Unit* unit) {
  for (std::string* text : {&unit->key, &unit->schema, &unit->payload}) {
    if (IsGreat(*text)) std::string().swap(*text);
  }
}

// To the defaults, but with the memory of the strings.
inline void Clear(Unit* unit) {
  if (IsGreat(unit->key) || IsGreat(unit->schema) || IsGreat(unit->payload)) {
    DropMemory(unit);
  }
  unit->key.clear();
  unit->schema.clear();
  unit->payload.clear();
  unit->kind = UnitKind::kEvent;
  unit->priority = kPriorityDefault;
  unit->reducer = kNoReducer;
  unit->cause = Cause();
  unit->due = LogicalTime();
  unit->cell_hash = 0;
}

}  // namespace reenact

#endif  // REENACT_SEQUENCER_UNIT_POOL_H_
