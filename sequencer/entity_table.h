// Entities, and where they are looked up.

#ifndef REENACT_SEQUENCER_ENTITY_TABLE_H_
#define REENACT_SEQUENCER_ENTITY_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/sequencer/sequencer.h"
#include "reenact/sequencer/unit_pool.h"

namespace reenact {

// A cell, or control, in one class. It exists while it has units, and its name
// is that of its first one, so that no key is stored twice.
struct Entity {
  std::uint64_t hash = 0;     // of its name
  Entity* chained = nullptr;  // in the table, or in the pool
  std::uint64_t size = 0;
  Queued* head = nullptr;
  Queued* tail = nullptr;
  Entity* previous = nullptr;
  Entity* next = nullptr;
  Round served_in;           // the round that `served` is about
  std::uint64_t served = 0;  // units in that round
  std::uint8_t of_class = 0;
  bool external = false;
};

// The entities that have units, by name. Looked up, never iterated, as the
// order differs from run to run. Chains threaded through the entities: most of
// them stay for no more than a round, so that to come and to go has to be
// cheap.
class EntityTable {
 public:
  EntityTable() : buckets_(kSizeAtFirst) {}

  // False: nothing of that hash is there.
  bool MayHave(std::uint64_t hash) const {
    return buckets_[hash & mask_] != nullptr;
  }

  // `hash` is that of the unit's entity.
  Entity* Find(std::uint64_t hash, std::uint8_t of_class,
               const Unit& unit) const {
    Entity* entity = buckets_[hash & mask_];
    while (entity != nullptr &&
           !(entity->hash == hash && entity->of_class == of_class &&
             OfOneCell(*entity->head, unit))) {
      entity = entity->chained;
    }
    return entity;
  }

  // REQUIRES: there is none of that name.
  void Add(Entity* entity) {
    Chain(entity);
    if (ABSL_PREDICT_FALSE(2 * ++size_ > mask_)) Grow();
  }

  // REQUIRES: it is there.
  void Remove(Entity* entity) {
    Entity** link = &buckets_[entity->hash & mask_];
    while (*link != entity) link = &(*link)->chained;
    *link = entity->chained;
    --size_;
  }

 private:
  static constexpr std::size_t kSizeAtFirst = 64;  // a power of two

  // Given that they are of one class. All control commands are one cell.
  static bool OfOneCell(const Unit& a, const Unit& b) {
    if (a.kind == UnitKind::kControl || b.kind == UnitKind::kControl) {
      return a.kind == b.kind;
    }
    return a.reducer == b.reducer && a.key == b.key;
  }

  void Chain(Entity* entity) {
    Entity*& bucket = buckets_[entity->hash & mask_];
    entity->chained = bucket;
    bucket = entity;
  }

  ABSL_ATTRIBUTE_NOINLINE void Grow() {
    std::vector<Entity*> old(2 * buckets_.size());
    old.swap(buckets_);
    mask_ = buckets_.size() - 1;
    for (Entity* entity : old) {
      while (entity != nullptr) Chain(std::exchange(entity, entity->chained));
    }
  }

  std::vector<Entity*> buckets_;
  std::size_t mask_ = kSizeAtFirst - 1;
  std::size_t size_ = 0;
};

}  // namespace reenact

#endif  // REENACT_SEQUENCER_ENTITY_TABLE_H_
