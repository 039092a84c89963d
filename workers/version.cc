#include "reenact/workers/version.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "reenact/kernel/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define REENACT_KEEPS_VERSIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REENACT_KEEPS_VERSIONS 0
#endif
#endif
#ifndef REENACT_KEEPS_VERSIONS
#define REENACT_KEEPS_VERSIONS 1
#endif

namespace reenact {
namespace {

// AddressSanitizer would not see a use of what was freed if it were kept.
constexpr bool kKeeps = REENACT_KEEPS_VERSIONS != 0;

// Which class a version with so many bytes of state is of.
std::size_t ClassOf(std::size_t size) {
  return (sizeof(Version) + size - 1) / VersionPool::kStep;
}

bool IsKept(std::size_t of_class) {
  return kKeeps && of_class < VersionPool::kClasses;
}

// As much as the largest version of the class needs, so that what one version
// leaves is enough for any other of its class.
void* Allocate(std::size_t of_class) {
  void* const memory = std::malloc((of_class + 1) * VersionPool::kStep);
  REENACT_CHECK(memory != nullptr);
  return memory;
}

// A call of memcpy() takes longer than copying most states does.
void CopyState(const char* from, std::size_t size, void* to) {
  char* const out = static_cast<char*>(to);
  if (size > 16) {
    std::memcpy(out, from, size);
  } else if (size >= 8) {
    std::memcpy(out, from, 8);
    std::memcpy(out + size - 8, from + size - 8, 8);
  } else {
    for (std::size_t i = 0; i < size; ++i) out[i] = from[i];
  }
}

const Version* Make(void* memory, std::uint64_t stamp,
                    std::optional<BytesView> state) {
  const std::size_t size = state ? state->size() : 0;
  auto* version = new (memory)
      Version{stamp, static_cast<std::uint32_t>(size), state.has_value()};
  if (size > 0) CopyState(state->data(), size, version + 1);
  return version;
}

}  // namespace

constexpr Version kNeverThere{0, 0, false};

const Version* Version::New(std::uint64_t stamp,
                            std::optional<BytesView> state) {
  return Make(Allocate(ClassOf(state ? state->size() : 0)), stamp, state);
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

const Version* VersionCache::New(std::uint64_t stamp,
                                 std::optional<BytesView> state) {
  const std::size_t of_class = ClassOf(state ? state->size() : 0);
  if (!IsKept(of_class)) return Version::New(stamp, state);
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

void VersionCache::Free(const Version* version) {
  if (version == nullptr || version == &kNeverThere) return;
  const std::size_t of_class = ClassOf(version->size);
  if (!IsKept(of_class)) return Version::Free(version);
  Spare& spare = spare_[of_class];
  // What is here is passed on as one chain, so that it has a chain's length.
  if (spare.count == VersionPool::kChain) {
    pool_->GiveChain(of_class, spare.head);
    spare = Spare();
  }
  spare.head = new (const_cast<Version*>(version))
      VersionPool::Link{spare.head, nullptr};
  ++spare.count;
}

}  // namespace reenact
