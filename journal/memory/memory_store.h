#ifndef REENACT_JOURNAL_MEMORY_MEMORY_STORE_H_
#define REENACT_JOURNAL_MEMORY_MEMORY_STORE_H_

#include <memory>

#include "reenact/journal/store.h"

namespace reenact {

// A store in memory: nothing survives it. For tests, tools and replay.
//
// Thread safety: as Store.
std::unique_ptr<Store> NewMemoryStore();

}  // namespace reenact

#endif  // REENACT_JOURNAL_MEMORY_MEMORY_STORE_H_
