#include "tests/support/worlds.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "reenact/journal/archive.h"
#include "reenact/journal/block.h"
#include "reenact/journal/memory/memory_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/workers/pool.h"
#include "tests/support/status_matchers.h"

namespace reenact {

std::vector<Bytes> BlocksOf(const Store& store) {
  std::vector<Bytes> blocks;
  REQUIRE_OK(store.ScanBlocks(0, [&blocks](std::uint64_t, BytesView stored) {
    blocks.emplace_back(stored);
    return absl::OkStatus();
  }));
  return blocks;
}

std::vector<Bytes> BlocksOf(const std::string& directory) {
  const auto archive = Archive::Open(directory);
  REQUIRE_OK(archive);
  return BlocksOf((*archive)->store());
}

StateMap StatesOf(const Store& store) {
  StateMap states;
  REQUIRE_OK(
      store.View()->ScanAll([&states](ReducerId reducer, std::string_view key,
                                      EventId, BytesView state) {
        states[{reducer, std::string(key)}] = Bytes(state);
        return absl::OkStatus();
      }));
  return states;
}

StateMap StatesOf(const std::string& directory) {
  const auto archive = Archive::Open(directory);
  REQUIRE_OK(archive);
  return StatesOf((*archive)->store());
}

std::map<std::string, Bytes> SnapshotsOf(const std::string& directory) {
  std::map<std::string, Bytes> snapshots;
  for (const auto& file :
       std::filesystem::directory_iterator(directory + "/snapshots")) {
    std::ifstream in(file.path(), std::ios::binary);
    snapshots[file.path().filename().string()] =
        Bytes(std::istreambuf_iterator<char>(in), {});
  }
  return snapshots;
}

std::string Describe(BytesView stored) {
  const auto block = DecodeBlock(stored);
  if (!block.ok()) return block.status().ToString();
  std::string text = "block " + std::to_string(block->header.index) + "\n";
  cbor::Reader reader(block->entries);
  while (!reader.AtEnd()) text += cbor::Diagnose(reader.Item()) + "\n";
  return text;
}

std::string FirstDifference(const std::vector<Bytes>& a,
                            const std::vector<Bytes>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string left = i < a.size() ? Describe(a[i]) : "no block\n";
    const std::string right = i < b.size() ? Describe(b[i]) : "no block\n";
    if (left != right) return left + "against\n" + right;
    if (a[i] != b[i]) return "other bytes in " + left;
  }
  return "";
}

Outcome RunInMemory(WorldOptions options, const std::vector<Input>& inputs,
                    std::unique_ptr<Pool> pool,
                    const std::vector<EventId>& failures, std::size_t threads) {
  const std::shared_ptr<Store> store = NewMemoryStore();
  WorldInternals internals;
  internals.store = std::make_unique<SharedStore>(store);
  internals.pool = std::move(pool);
  internals.never_inline = true;
  internals.threads = threads;
  auto world = OpenWorld(std::move(options), std::move(internals));
  REQUIRE_OK(world);
  for (const EventId id : failures) {
    REQUIRE_OK((*world)->FailEvent(id, "test", "drawn"));
  }
  InputList source(inputs);
  REQUIRE_OK((*world)->Feed(source));
  Outcome outcome;
  outcome.stats = (*world)->stats();
  REQUIRE_OK((*world)->Close());
  outcome.blocks = BlocksOf(*store);
  outcome.states = StatesOf(*store);
  return outcome;
}

}  // namespace reenact
