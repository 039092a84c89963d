#include "reenact/workers/cells.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "reenact/base/check.h"
#include "reenact/base/instrument.h"

namespace reenact {

namespace {

std::uint64_t FootprintOf(const Cell& cell, const Version* version) {
  // The table's slot, the clock's entry and the allocator's headers are about
  // 64 bytes more.
  return sizeof(Cell) + 64 + (cell.key.size() > 15 ? cell.key.size() : 0) +
         (version == nullptr ? 0 : sizeof(Version) + version->size);
}

bool InRange(std::string_view key, std::string_view from, std::string_view to) {
  return key >= from && (to.empty() || key < to);
}

}  // namespace

CellTable::CellTable(CellSource* source, std::uint64_t cache_bytes,
                     std::size_t window)
    : source_(source),
      cache_bytes_(cache_bytes),
      window_(window),
      shards_(new Shard[kShards]) {}

CellTable::~CellTable() {
  for (std::size_t i = 0; i < kShards; ++i) {
    SpinLockHolder lock(&shards_[i].lock);
    for (Cell* cell : shards_[i].cells) {
      Version::Free(cell->committed.load());
      delete cell;
    }
  }
  retired_.ForEach([](const auto& retired) { Version::Free(retired.first); });
}

CellTable::Shard& CellTable::ShardOf(const KeyView& key) {
  // High bits: the set below uses the low ones.
  return shards_[(key.hash >> 48) % kShards];
}

Cell* CellTable::Find(ReducerId reducer, std::string_view key,
                      std::uint64_t hash, EventId user) {
  const KeyView view{reducer, key, hash};
  Shard& shard = ShardOf(view);
  SpinLockHolder lock(&shard.lock);
  Cell* cell = nullptr;
  if (auto it = shard.cells.find(view); it != shard.cells.end()) {
    cell = *it;
  } else {
    cell = new Cell(reducer, key, view.hash);
    shard.cells.insert(cell);
    shard.fresh.push_back(cell);
    cell_count_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(FootprintOf(*cell, nullptr), std::memory_order_relaxed);
  }
  if (cell->last_use.load(std::memory_order_relaxed) < user.value) {
    cell->last_use.store(user.value, std::memory_order_relaxed);
  }
  return cell;
}

const Version* CellTable::Load(Cell* cell) {
  const Version* version = cell->committed.load(std::memory_order_acquire);
  if (version != nullptr) return version;
  instrument::Yield("cells.load", cell);

  absl::StatusOr<std::optional<CellSource::Stored>> stored =
      source_->Load(cell->reducer, cell->key);
  const Version* loaded = &kNeverThere;
  REENACT_PROBE_IF(stored.ok() && !stored->has_value(),
                   "cells: one was never there");
  if (!stored.ok()) {
    Fail(stored.status());
  } else if (stored->has_value()) {
    REENACT_PROBE("cells: one is loaded");
    loaded = Version::New((*stored)->version.value << 1, (*stored)->state);
  }
  load_count_.fetch_add(1, std::memory_order_relaxed);
  // Another thread may have loaded or even replaced it meanwhile: then that
  // counts, since a commit is never older than what the source had.
  if (cell->committed.compare_exchange_strong(version, loaded,
                                              std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
    bytes_.fetch_add(loaded->size, std::memory_order_relaxed);
    return loaded;
  }
  REENACT_PROBE("cells: two loaded one cell");
  Version::Free(loaded);
  return version;
}

absl::Status CellTable::status() const {
  MutexLock lock(&status_mutex_);
  return status_;
}

void CellTable::Fail(const absl::Status& status) {
  MutexLock lock(&status_mutex_);
  if (status_.ok()) status_ = status;
  ok_.store(false, std::memory_order_release);
}

void CellTable::Publish(Cell* cell, const Version* version, EventId by,
                        Round round) {
  instrument::Yield("cells.publish", cell);
  const Version* old =
      cell->committed.exchange(version, std::memory_order_acq_rel);
  const std::uint32_t old_size = old == nullptr ? 0 : old->size;
  if (version->size != old_size) {
    bytes_.fetch_add(std::uint64_t{version->size} - old_size,
                     std::memory_order_relaxed);
  }
  if (old != nullptr) Retire(old, by.value);
  cell->last_write = by.value;
  if (cell->batch_round != round.value) {
    cell->batch_round = round.value;
    changed_.push_back(cell);
  }
  if (!cell->dirty) {
    cell->dirty = true;
    dirty_.push_back({cell, by.value});
  }
}

void CellTable::Discard(const Version* version, EventId by) {
  Retire(version, by.value);
}

void CellTable::Retire(const Version* version, std::uint64_t ticket) {
  if (version != &kNeverThere) retired_.push_back({version, ticket});
}

void CellTable::Advance(EventId committed, EventId written) {
  while (!retired_.empty() &&
         retired_.front().second + window_ <= committed.value) {
    versions_.Free(retired_.front().first);
    retired_.pop_front();
  }
  while (!dirty_.empty() && dirty_.front().second <= written.value) {
    Cell* cell = dirty_.front().first;
    dirty_.pop_front();
    if (cell->last_write <= written.value) {
      cell->dirty = false;
    } else {
      REENACT_PROBE("cells: one is written again before it is stored");
      dirty_.push_back({cell, cell->last_write});
    }
  }
  if (bytes() > cache_bytes_) {
    REENACT_PROBE("cells: too many for the cache");
    Evict(committed);
  }
}

void CellTable::Evict(EventId committed) {
  for (std::size_t i = 0; i < kShards; ++i) {
    SpinLockHolder lock(&shards_[i].lock);
    clock_.insert(clock_.end(), shards_[i].fresh.begin(),
                  shards_[i].fresh.end());
    shards_[i].fresh.clear();
  }
  // Each call looks at a bounded number of cells, so that a cache full of dirty
  // ones does not stop the world; the next call goes on from here.
  std::size_t looks = std::min<std::size_t>(2 * clock_.size(), 65536);
  while (looks-- > 0 && !clock_.empty() && bytes() > cache_bytes_) {
    if (hand_ >= clock_.size()) hand_ = 0;
    if (TryDrop(clock_[hand_], committed)) {
      clock_[hand_] = clock_.back();
      clock_.pop_back();
    } else {
      ++hand_;
    }
  }
}

bool CellTable::TryDrop(Cell* cell, EventId committed) {
  if (cell->dirty &&
      !REENACT_PLANTED("cells are dropped before they are written")) {
    return false;
  }
  const std::uint64_t last_use = cell->last_use.load(std::memory_order_relaxed);
  // Results of the latest `window_` tickets name cells, and scans look at them.
  if (REENACT_SEEN(last_use + window_ > committed.value,
                   "cells: one in use is not dropped"))
    return false;
  // Recently used: spared once, until the hand comes round again.
  if (!cell->spared && last_use + 4 * window_ > committed.value) {
    REENACT_PROBE("cells: one is spared");
    cell->spared = true;
    return false;
  }
  cell->spared = false;
  const KeyView view{cell->reducer, cell->key, cell->hash};
  Shard& shard = ShardOf(view);
  {
    SpinLockHolder lock(&shard.lock);
    if (cell->last_use.load(std::memory_order_relaxed) != last_use) {
      return false;
    }
    shard.cells.erase(shard.cells.find(view));
  }
  REENACT_PROBE("cells: one is dropped");
  const Version* version = cell->committed.load(std::memory_order_acquire);
  cell_count_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(
      FootprintOf(*cell, nullptr) + (version == nullptr ? 0 : version->size),
      std::memory_order_relaxed);
  Version::Free(version);
  delete cell;
  return true;
}

absl::Status CellTable::Scan(
    ReducerId reducer, std::string_view from, std::string_view to,
    std::size_t limit,
    std::vector<std::pair<std::string, Bytes>>* found) const {
  // What the source may not have yet, laid over what it has.
  std::map<std::string_view, const Version*> fresh;
  dirty_.ForEach([&](const auto& entry) {
    const Cell* const cell = entry.first;
    if (cell->reducer == reducer && InRange(cell->key, from, to)) {
      fresh.emplace(cell->key, cell->committed.load(std::memory_order_acquire));
    }
  });
  auto next = fresh.begin();
  const auto take_fresh_below = [&](std::optional<std::string_view> end) {
    for (; next != fresh.end() && (!end || next->first < *end); ++next) {
      if (found->size() == limit) return;
      if (auto state = next->second->state()) {
        REENACT_PROBE("cells: a range has one that is not stored yet");
        found->emplace_back(next->first, *state);
      }
    }
  };
  REENACT_RETURN_IF_ERROR(source_->Scan(
      reducer, from, to,
      [&](std::string_view key, EventId, BytesView state) -> absl::Status {
        take_fresh_below(key);
        if (found->size() == limit) return absl::CancelledError();
        if (next != fresh.end() && next->first == key) {
          REENACT_PROBE("cells: a range has one that is stored as it was");
          if (auto newer = next->second->state()) {
            found->emplace_back(key, *newer);
          }
          ++next;
        } else {
          REENACT_PROBE("cells: a range has one that is stored as it is");
          found->emplace_back(key, state);
        }
        return found->size() == limit ? absl::CancelledError()
                                      : absl::OkStatus();
      }));
  take_fresh_below(std::nullopt);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Bytes>> CellTable::Read(
    ReducerId reducer, std::string_view key) const {
  const KeyView view{reducer, key, CellHash(reducer, key)};
  Shard& shard = const_cast<CellTable*>(this)->ShardOf(view);
  {
    SpinLockHolder lock(&shard.lock);
    if (auto it = shard.cells.find(view); it != shard.cells.end()) {
      const Version* version = (*it)->committed.load(std::memory_order_acquire);
      if (version != nullptr) {
        REENACT_PROBE("cells: somebody reads what is cached");
        auto state = version->state();
        return state ? std::optional<Bytes>(*state) : std::nullopt;
      }
    }
  }
  REENACT_ASSIGN_OR_RETURN(std::optional<CellSource::Stored> stored,
                           source_->Load(reducer, key));
  if (REENACT_SEEN(!stored, "cells: somebody reads what was never there"))
    return std::optional<Bytes>();
  REENACT_PROBE("cells: somebody reads what is not cached");
  return std::optional<Bytes>(std::move(stored->state));
}

}  // namespace reenact
