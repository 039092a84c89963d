#include "tests/replay/history.h"

#include <catch2/catch.hpp>
#include <optional>
#include <utility>
#include <variant>

#include "reenact/journal/directory/directory.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/journal/snapshot_file.h"
#include "reenact/kernel/outcome.h"
#include "reenact/sequencer/sequencer.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worlds.h"

namespace reenact {

Entry EntryOf(const Bytes& bytes) {
  auto entry = DecodeEntry(BytesView(bytes));
  REQUIRE_OK(entry);
  return *std::move(entry);
}

Bytes BytesOf(const Entry& entry) {
  Bytes bytes;
  EncodeEntry(entry, &bytes);
  return bytes;
}

History TakeApart(const std::vector<Bytes>& blocks) {
  History history;
  for (const Bytes& stored : blocks) {
    const auto block = DecodeBlock(stored);
    REQUIRE_OK(block);
    HistoryBlock part;
    part.header = block->header;
    cbor::Reader reader(block->entries);
    while (!reader.AtEnd()) part.entries.emplace_back(reader.Item());
    REQUIRE(reader.ok());
    history.push_back(std::move(part));
  }
  return history;
}

History TakeApart(const std::string& directory) {
  return TakeApart(BlocksOf(directory));
}

std::vector<Bytes> Chain(const History& history) {
  std::vector<Bytes> blocks;
  Digest hash;
  for (const HistoryBlock& part : history) {
    BlockHeader header = part.header;
    header.index = blocks.size();
    header.prev = hash;
    header.entry_count = part.entries.size();
    Bytes entries;
    for (const Bytes& entry : part.entries) entries += entry;
    blocks.push_back(EncodeBlock(header, entries, &hash));
  }
  return blocks;
}

std::map<CellRef, Bytes> Fold(const std::vector<Bytes>& blocks) {
  std::map<CellRef, Bytes> cells;
  std::map<std::uint64_t, CellRef> subjects;
  const auto apply = [&cells](const CellRef& cell, const Diff& diff) {
    const auto it = cells.find(cell);
    if (diff.op == Diff::Op::kPut) {
      cells[cell] = diff.state;
    } else if (diff.op == Diff::Op::kDelete) {
      cells.erase(cell);
    } else {
      const auto state =
          ApplyUpdate(it == cells.end() ? std::nullopt
                                        : std::optional<BytesView>(it->second),
                      diff.update);
      if (state.ok()) cells[cell] = *state;
    }
  };
  for (const HistoryBlock& block : TakeApart(blocks)) {
    for (const Bytes& bytes : block.entries) {
      const auto entry = DecodeEntry(BytesView(bytes));
      if (!entry.ok()) continue;
      if (const auto* step = std::get_if<entry::StepScheduled>(&*entry)) {
        if (step->subject) subjects[step->event_id.value] = *step->subject;
      } else if (const auto* done =
                     std::get_if<entry::StepCommitted>(&*entry)) {
        for (const Diff& diff : done->diffs) {
          apply(diff.cell.value_or(subjects[done->event_id.value]), diff);
        }
      }
    }
  }
  return cells;
}

void WriteWorld(const std::string& directory,
                const std::vector<Bytes>& blocks) {
  const WorldPaths paths(directory);
  REQUIRE_OK(CreateWorldDirectory(paths));
  RocksDbOptions options;
  options.create = true;
  const auto store = OpenRocksDbStore(paths.db, options);
  REQUIRE_OK(store);
  const auto last = DecodeBlock(blocks.back());
  REQUIRE_OK(last);
  CellBatch cells;
  for (const auto& [cell, state] : Fold(blocks)) {
    cells.Add(cell.reducer, cell.key, last->header.last(), state);
  }
  CommitGroup group;
  group.blocks = blocks;
  group.cells.push_back(&cells);
  REQUIRE_OK((*store)->Commit(group, false));
  REQUIRE_OK((*store)->Close());

  const auto genesis = DecodeBlock(blocks.front());
  REQUIRE_OK(genesis);
  HeadRecord head;
  head.world_id = std::get<entry::Genesis>(EntryOf(Bytes(genesis->entries)))
                      .config.world_id;
  head.epoch = 1;
  head.block_count = blocks.size();
  head.event_id = last->header.last();
  head.hash = last->hash;
  head.clean = true;
  const auto file = HeadFile::Open(paths.head, std::nullopt);
  REQUIRE_OK(file);
  REQUIRE_OK((*file)->Write(head, false));
}

void WriteSlice(const std::string& directory,
                const std::vector<Bytes>& blocks) {
  const auto genesis = DecodeBlock(blocks.front());
  REQUIRE_OK(genesis);
  SnapshotHeader header;
  header.config =
      std::get<entry::Genesis>(EntryOf(Bytes(genesis->entries))).config;
  header.block_count = 1;
  header.block_hash = genesis->hash;
  Bytes sequencer, base, tail;
  Sequencer(header.config.scheduling).Encode(&sequencer);
  SnapshotEncoder encoder(header, sequencer, [&base](BytesView bytes) {
    base.append(bytes);
    return absl::OkStatus();
  });
  REQUIRE_OK(encoder.Finish());
  for (std::size_t i = 1; i < blocks.size(); ++i) {
    cbor::Encoder(&tail).ByteString(blocks[i]);
  }
  WriteWholeFile(directory + "/base.snap", base);
  WriteWholeFile(directory + "/tail.cborseq", tail);
  WriteWholeFile(directory + "/SLICE", "reenact slice format 1\n");
}

void ReplaceBlocks(const std::string& directory, std::uint64_t first,
                   const std::vector<Bytes>& blocks) {
  const auto store = OpenRocksDbStore(WorldPaths(directory).db, {});
  REQUIRE_OK(store);
  REQUIRE_OK((*store)->CutBlocks(first));
  CommitGroup group;
  group.first_index = first;
  group.blocks = blocks;
  REQUIRE_OK((*store)->Commit(group, false));
  REQUIRE_OK((*store)->Close());
}

}  // namespace reenact
