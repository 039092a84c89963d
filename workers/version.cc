#include "reenact/workers/version.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "reenact/base/check.h"

namespace reenact {
namespace {

// As much as the largest version of the class needs, so that what one version
// leaves is enough for any other of its class.
void* Allocate(std::size_t of_class) {
  void* const memory = std::malloc((of_class + 1) * VersionPool::kStep);
  REENACT_CHECK(memory != nullptr);
  return memory;
}

const Version* Make(void* memory, std::uint64_t stamp,
                    std::optional<BytesView> state) {
  const std::size_t size = state ? state->size() : 0;
  auto* version = new (memory)
      Version{stamp, static_cast<std::uint32_t>(size), state.has_value()};
  if (size > 0) std::memcpy(version + 1, state->data(), size);
  return version;
}

}  // namespace

constexpr Version kNeverThere{0, 0, false};

const Version* Version::New(std::uint64_t stamp,
                            std::optional<BytesView> state) {
  return Make(Allocate(VersionPool::ClassOf(state ? state->size() : 0)), stamp,
              state);
}

void Version::Free(const Version* version) {
  if (version == nullptr || version == &kNeverThere) return;
  std::free(const_cast<Version*>(version));
}

VersionPool::~VersionPool() {
  for (std::size_t i = 0; i < kClasses; ++i) {
    while (Link* chain = TakeChain(i)) FreeChain(chain);
  }
}

VersionPool::Link* VersionPool::TakeChain(std::size_t of_class) {
  Class& from = classes_[of_class];
  SpinLockHolder lock(&from.lock);
  Link* const chain = from.chains;
  if (chain == nullptr) return nullptr;
  from.chains = chain->chain;
  --from.count;
  return chain;
}

void VersionPool::GiveChain(std::size_t of_class, Link* chain) {
  Class& to = classes_[of_class];
  {
    SpinLockHolder lock(&to.lock);
    if (to.count * kChain * (of_class + 1) * kStep < kKeptBytes) {
      chain->chain = to.chains;
      to.chains = chain;
      ++to.count;
      return;
    }
  }
  FreeChain(chain);
}

void VersionPool::FreeChain(Link* chain) {
  while (chain != nullptr) {
    Link* const next = chain->next;
    std::free(chain);
    chain = next;
  }
}

VersionCache::~VersionCache() {
  for (Spare& spare : spare_) VersionPool::FreeChain(spare.head);
}

const Version* VersionCache::NewInFull(std::uint64_t stamp,
                                       std::optional<BytesView> state) {
  const std::size_t of_class = VersionPool::ClassOf(state ? state->size() : 0);
  if (!VersionPool::IsKept(of_class)) return Version::New(stamp, state);
  Spare& spare = spare_[of_class];
  if (spare.head == nullptr) {
    spare.head = pool_->TakeChain(of_class);
    if (spare.head == nullptr) return Version::New(stamp, state);
    spare.count = VersionPool::kChain;
  }
  VersionPool::Link* const memory = spare.head;
  spare.head = memory->next;
  --spare.count;
  return Make(memory, stamp, state);
}

// What is here is passed on as one chain, so that it has a chain's length.
void VersionCache::FreeInFull(const Version* version) {
  const std::size_t of_class = VersionPool::ClassOf(version->size);
  pool_->GiveChain(of_class, spare_[of_class].head);
  spare_[of_class] = Spare();
  Free(version);
}

}  // namespace reenact
