// What happens to a world's bytes while nobody looks: it is found, or it does
// no harm; never is anything but the truth read from it.

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "reenact/harness/dice.h"
#include "reenact/harness/disk/recorded_disk.h"
#include "reenact/harness/disk/watched_file_system.h"
#include "reenact/harness/scoreboard.h"
#include "reenact/journal/block.h"
#include "reenact/journal/directory/directory.h"
#include "reenact/journal/directory/head.h"
#include "reenact/journal/snapshot_file.h"
#include "tests/chaos/lab.h"
#include "tests/chaos/scratch.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;
using disk::Damage;
using disk::Image;

// 80 inputs with all that they lead to, in two sessions; as it was closed, and
// as it was before: killed when all of its second session was in the log.
struct Worlds {
  Recorded recorded = Record({.name = "80 inputs",
                              .seed = 3,
                              .inputs = 80,
                              .sessions = 2,
                              .snapshot_every = 6,
                              .snapshots_kept = 0});
  Image closed = AfterCrash(recorded.log, recorded.log.size(), {});
  Image killed = Killed();

  const Truth& truth() const { return recorded.truth; }
  std::uint64_t last() const {
    return truth().TicketAt(truth().blocks().size()).value;
  }

 private:
  // Right after the last ticket was acknowledged.
  Image Killed() const {
    std::size_t count = recorded.log.size();
    while (recorded.log[count - 1].kind !=
           disk::Operation::Kind::kAcknowledged) {
      --count;
    }
    Image image = AfterCrash(recorded.log, count + 2, {});
    REQUIRE(image.acknowledged == last());
    return image;
  }
};

// Judges damaged copies and counts.
class Damages {
 public:
  explicit Damages(const Truth& truth) : truth_(truth) {}

  void Try(const Image& image, const std::string& what) {
    const std::string path = scratch_.Fresh();
    REQUIRE_OK(Write(image, path));
    Judge(path, image.acknowledged, what);
    fs::remove_all(path);
  }
  void Judge(const std::string& path, std::uint64_t acknowledged,
             const std::string& what) {
    const std::string verdict = truth_.Judge(path, acknowledged);
    INFO(what << ": " << verdict);
    CHECK(verdict.find("wrong: ") == verdict.npos);
    ++(verdict.empty() ? harmless_ : refused_);
  }

  std::uint64_t refused() const { return refused_; }
  std::uint64_t harmless() const { return harmless_; }
  std::uint64_t all() const { return refused_ + harmless_; }

 private:
  const disk::Watch quick_{nullptr};
  const Truth& truth_;
  Scratch scratch_;
  std::uint64_t refused_ = 0;
  std::uint64_t harmless_ = 0;
};

void Flip(std::string* bytes, std::uint64_t bit) {
  char& byte = (*bytes)[bit / 8];
  byte = static_cast<char>(byte ^ (1 << bit % 8));
}

// --- 17: bits ----------------------------------------------------------------

TEST_CASE("chaos 17: no flipped bit of a block goes unseen", "[chaos]") {
  const Worlds worlds;
  std::uint64_t flips = 0;
  std::uint64_t unseen = 0;
  for (Bytes block : worlds.truth().blocks()) {
    const auto whole = DecodeBlock(block);
    REQUIRE_OK(whole);
    const Digest hash = whole->hash;
    for (std::uint64_t bit = 0; bit < 8 * block.size(); ++bit) {
      Flip(&block, bit);
      // Its hash is in the next block, or in HEAD.
      const auto flipped = DecodeBlock(block);
      unseen += flipped.ok() && flipped->hash == hash ? 1 : 0;
      ++flips;
      Flip(&block, bit);
    }
  }
  CHECK(unseen == 0);
  Score("bits flipped in blocks, head records and snapshots", flips);
}

TEST_CASE("chaos 17: no flipped bit of a head record goes unseen", "[chaos]") {
  const Worlds worlds;
  std::string head = worlds.closed.files.at("HEAD");
  std::uint64_t unseen = 0;
  for (std::uint64_t bit = 0; bit < 8 * head.size(); ++bit) {
    Flip(&head, bit);
    const std::size_t slot = bit / 8 / kHeadSlotSize;
    const auto record = DecodeHeadSlot(
        BytesView(head).substr(slot * kHeadSlotSize, kHeadSlotSize));
    unseen += record.ok() ? 1 : 0;
    Flip(&head, bit);
  }
  CHECK(unseen == 0);
  Score("bits flipped in blocks, head records and snapshots", 8 * head.size());
}

TEST_CASE("chaos 17: no flipped bit of a snapshot goes unseen", "[chaos]") {
  const Worlds worlds;
  Scratch scratch;
  const std::string path = scratch / "one.snap";
  std::uint64_t flips = 0;
  std::uint64_t unseen = 0;
  for (const auto& [name, whole] : worlds.closed.files) {
    if (!name.starts_with("snapshots/")) continue;
    std::string bytes = whole;
    for (std::uint64_t bit = 0; bit < 8 * bytes.size(); bit += kShare) {
      Flip(&bytes, bit);
      WriteWholeFile(path, bytes);
      unseen += ReadSnapshotFile(path).ok() ? 1 : 0;
      ++flips;
      Flip(&bytes, bit);
    }
    WriteWholeFile(path, bytes);
    REQUIRE_OK(ReadSnapshotFile(path).status());
  }
  CHECK(unseen == 0);
  CHECK(flips > 0);
  Score("bits flipped in blocks, head records and snapshots", flips);
}

TEST_CASE("chaos 17: a flipped bit in the database is a refusal or no harm",
          "[chaos]") {
  const Worlds worlds;
  Dice dice(17);
  Damages damages(worlds.truth());
  const std::uint64_t count = ForTier(2100, 20'000) / kShare;
  while (damages.all() < count) {
    Image image = dice.Below(2) == 0 ? worlds.closed : worlds.killed;
    image.acknowledged = worlds.last();
    auto file = image.files.begin();
    std::advance(file,
                 static_cast<std::ptrdiff_t>(dice.Below(image.files.size())));
    if (!file->first.starts_with("db/") || file->second.empty()) continue;
    if (file->first.find("OPTIONS") != std::string::npos) continue;
    const std::uint64_t bit = dice.Below(8 * file->second.size());
    Flip(&file->second, bit);
    damages.Try(image, file->first + ", bit " + std::to_string(bit));
  }
  CHECK(damages.refused() > damages.all() / 4);
  Score("bits flipped in the database", damages.all());
}

// --- 16: cuts ----------------------------------------------------------------

TEST_CASE("chaos 16: a head record or a snapshot cut at any byte is seen",
          "[chaos]") {
  const Worlds worlds;
  Scratch scratch;
  const std::string path = scratch / "cut";
  std::uint64_t cuts = 0;
  for (const auto& [name, whole] : worlds.closed.files) {
    const bool head = name == "HEAD";
    if (!head && !name.starts_with("snapshots/")) continue;
    for (std::size_t size = 0; size < whole.size(); size += kShare) {
      WriteWholeFile(path, whole.substr(0, size));
      ++cuts;
      if (!head) {
        CHECK(!ReadSnapshotFile(path).ok());
        continue;
      }
      const auto found = ReadHeadFile(path);
      REQUIRE_OK(found);
      // Padding that is gone counts as damage, too.
      CHECK(!found->slots[size / kHeadSlotSize].has_value());
    }
  }
  Score("cuts at a byte", cuts);
}

TEST_CASE(
    "chaos 16: a log cut at any byte loses nothing that HEAD knows of "
    "without a refusal",
    "[chaos]") {
  const Worlds worlds;
  Damages damages(worlds.truth());
  std::string log;
  for (const auto& [name, bytes] : worlds.killed.files) {
    if (name.ends_with(".log") && !bytes.empty()) log = name;
  }
  REQUIRE(!log.empty());
  const std::string whole = worlds.killed.files.at(log);
  Scratch scratch;
  const std::string path = scratch / "world";
  REQUIRE_OK(Write(worlds.killed, path));
  const auto head = ReadHeadFile(path + "/HEAD");
  REQUIRE_OK(head);
  const EventId known = head->newest()->event_id;
  std::uint64_t cuts = 0;
  std::uint64_t refused = 0;
  for (std::size_t size = whole.size(); size-- > 0;) {
    fs::resize_file(path + "/" + log, size);
    if (size % kShare != 0) continue;
    INFO("cut to " << size << " bytes");
    ++cuts;
    const auto found = Inspect(WorldPaths(path));
    REQUIRE_OK(found);
    const OpenDecision decision = Decide(*found);
    const bool opens = RefusalStatus(decision, *found, WorldPaths(path)).ok();
    refused += opens ? 0 : 1;
    // What is there reaches what HEAD knows of, or it does not open.
    if (opens) CHECK(found->block_count >= found->head->block_count);
    if (!opens) CHECK(decision == OpenDecision::kRefuseLostAcked);
    if (cuts % 32 == 0) {  // the kernel says the same
      Image image = worlds.killed;
      image.files[log].resize(size);
      image.acknowledged = known.value;
      const std::uint64_t before = damages.refused();
      damages.Try(image, "opened");
      CHECK((damages.refused() == before) == opens);
    }
  }
  CHECK(refused > 0);
  Score("cuts at a byte", cuts);
}

// --- 18, 19: sectors ---------------------------------------------------------

TEST_CASE(
    "chaos 18: sectors swapped, doubled, zeroed or left as they once were "
    "are a refusal or no harm",
    "[chaos]") {
  const Worlds worlds;
  Damages damages(worlds.truth());
  Dice dice(18);
  const std::uint64_t each = 96 / kShare + 1;
  const auto draw = [&](const Image& image) {
    for (;;) {
      auto file = image.files.begin();
      std::advance(file,
                   static_cast<std::ptrdiff_t>(dice.Below(image.files.size())));
      const bool counts = file->first.starts_with("db/") &&
                          file->first.find("OPTIONS") == std::string::npos;
      if (counts && file->second.size() > 512) return file->first;
    }
  };
  for (std::uint64_t i = 0; i < 4 * each; ++i) {
    Image image = dice.Below(2) == 0 ? worlds.closed : worlds.killed;
    image.acknowledged = worlds.last();
    const std::string name = draw(image);
    std::string& bytes = image.files[name];
    const std::uint64_t sectors = bytes.size() / 512;
    const std::uint64_t a = 512 * dice.Below(sectors);
    const std::uint64_t b = 512 * dice.Below(sectors);
    const std::string one = bytes.substr(a, 512);
    const std::string two = bytes.substr(b, 512);
    switch (i % 4) {
      case 0:
        bytes.replace(a, 512, two).replace(b, 512, one);
        break;
      case 1:
        bytes.replace(a, 512, two);
        break;
      case 2:
        bytes.replace(a, 512, std::string(512, '\0'));
        break;
      default: {
        const std::uint64_t size =
            std::min<std::size_t>(4096, bytes.size() - a);
        bytes.replace(a, size, std::string(size, '\0'));
      }
    }
    damages.Try(image, name + " at " + std::to_string(a) + ", kind " +
                           std::to_string(i % 4) + ", " + std::to_string(b));
  }
  // A whole file as it was before: a write that went astray.
  for (std::size_t count = 0; count < worlds.recorded.log.size();
       count += 7 * kShare) {
    const Image old = AfterCrash(worlds.recorded.log, count, {});
    for (const auto& [name, bytes] : old.files) {
      Image image = worlds.closed;
      image.acknowledged = worlds.last();
      if (!name.starts_with("db/") || image.files.count(name) == 0 ||
          image.files[name] == bytes ||
          name.find("OPTIONS") != std::string::npos) {
        continue;
      }
      image.files[name] = bytes;
      damages.Try(image, name + " as before " + std::to_string(count));
    }
  }
  CHECK(damages.refused() > 0);
  Score("damaged sectors and files", damages.all());
}

// A bit of the n-th read is wrong, once.
class FlakyCable final : public disk::Watcher {
 public:
  explicit FlakyCable(std::uint64_t nth) : nth_(nth) {}
  int Before(disk::Call*, std::uint64_t*) override { return 0; }
  void After(const disk::Call&, std::uint64_t) override {}
  void Read(std::string_view path, std::uint64_t, char* bytes,
            std::size_t size) override {
    if (path.find("OPTIONS") != path.npos || ++seen_ != nth_) return;
    bytes[size / 2] = static_cast<char>(bytes[size / 2] ^ 0x20);
  }
  bool fired() const { return seen_ >= nth_; }

 private:
  const std::uint64_t nth_;
  std::atomic<std::uint64_t> seen_{0};
};

TEST_CASE("chaos 19: a read that is wrong once is never believed", "[chaos]") {
  const Worlds worlds;
  Damages damages(worlds.truth());
  Scratch scratch;
  for (std::uint64_t nth = 1;; nth += kShare) {
    const std::string path = scratch.Fresh();
    Image image = worlds.killed;
    REQUIRE_OK(Write(image, path));
    FlakyCable cable(nth);
    {
      const disk::Watch watch(&cable);
      damages.Judge(path, worlds.last(), "read " + std::to_string(nth));
    }
    if (!cable.fired()) break;
    // What it did while it believed nothing wrong is whole.
    const std::string verdict = worlds.truth().Judge(path, worlds.last());
    INFO("read " << nth);
    CHECK(verdict == "");
    fs::remove_all(path);
  }
  Score("wrong reads", damages.all());
}

// --- 13: syncs that lie ------------------------------------------------------

TEST_CASE(
    "chaos 13: where the log's syncs lie and HEAD's do not, what is gone is "
    "a refusal",
    "[chaos]") {
  const disk::Watch quick(nullptr);
  const Worlds worlds;
  disk::Log log = worlds.recorded.log;
  std::map<disk::Node, std::string> names;
  for (const disk::Operation& one : log) {
    for (const auto& name : one.names) {
      if (name.node) names[*name.node] = name.name;
    }
  }
  for (disk::Operation& one : log) {
    const bool lies = one.kind == disk::Operation::Kind::kSync &&
                      names[one.node].ends_with(".log");
    if (lies) one.began = 0;
  }
  Scratch scratch;
  std::uint64_t refused = 0;
  std::uint64_t cuts = 0;
  for (std::size_t count = 0; count <= log.size(); count += kShare) {
    const Image image = AfterCrash(log, count, {Damage::Kind::kDropped});
    if (image.files.count("HEAD") == 0) continue;
    const std::string path = scratch.Fresh();
    REQUIRE_OK(Write(image, path));
    const auto head = ReadHeadFile(path + "/HEAD");
    REQUIRE_OK(head);
    const std::uint64_t known =
        head->newest() ? head->newest()->event_id.value : 0;
    const std::string verdict = worlds.truth().Judge(path, known);
    INFO(count << ": " << verdict);
    CHECK(verdict.find("wrong: ") == verdict.npos);
    refused += verdict.empty() ? 0 : 1;
    ++cuts;
    fs::remove_all(path);
  }
  CHECK(refused > 0);
  Score("crash points with syncs that lie", cuts);
}

// --- 21: the directory -------------------------------------------------------

TEST_CASE(
    "chaos 21: files that are missing, empty, renamed, linked, doubled or "
    "open to others are a refusal or no harm",
    "[chaos]") {
  const Worlds worlds;
  Damages damages(worlds.truth());
  Scratch scratch;
  const auto mutate = [&](const std::string& what,
                          const std::function<void(const std::string&)>& how) {
    const std::string path = scratch.Fresh();
    REQUIRE_OK(Write(worlds.closed, path));
    how(path);
    damages.Judge(path, worlds.last(), what);
    fs::permissions(path, fs::perms::owner_all);
    fs::remove_all(path);
  };
  std::vector<std::string> names;
  for (const auto& [name, bytes] : worlds.closed.files) names.push_back(name);
  for (const std::string& directory : worlds.closed.directories) {
    names.push_back(directory);
  }
  for (const std::string& name : names) {
    mutate("without " + name,
           [&](const std::string& path) { fs::remove_all(path + "/" + name); });
    mutate("renamed " + name, [&](const std::string& path) {
      fs::rename(path + "/" + name, path + "/" + name + ".old");
    });
    mutate("link in place of " + name, [&](const std::string& path) {
      const std::string aside = scratch.Fresh();
      fs::rename(path + "/" + name, aside);
      fs::create_symlink(aside, path + "/" + name);
    });
    mutate("open to all " + name, [&](const std::string& path) {
      fs::permissions(path + "/" + name, fs::perms::all);
    });
    if (worlds.closed.files.count(name) == 0) continue;
    mutate("empty " + name, [&](const std::string& path) {
      fs::resize_file(path + "/" + name, 0);
    });
    mutate("a directory in place of " + name, [&](const std::string& path) {
      fs::remove(path + "/" + name);
      fs::create_directory(path + "/" + name);
    });
  }
  for (const char* extra :
       {"notes.txt", "db/notes.txt", "db/999999.sst", "db/999999.log",
        "snapshots/notes", "snapshots/00000000000000099999.snap", "WORLD.tmp",
        "HEAD.old"}) {
    mutate(std::string("besides ") + extra, [&](const std::string& path) {
      WriteWholeFile(path + "/" + extra, "something else");
    });
  }
  CHECK(damages.all() >= 30);
  CHECK(damages.refused() > 0);
  Score("mutated directories", damages.all());
}

// --- 53, 54: snapshots -------------------------------------------------------

// The last snapshots are damaged as `damage` does, and the cells are gone.
void TrySnapshots(const Worlds& worlds, Damages* damages, int how_many,
                  const std::function<void(std::string*)>& damage,
                  const std::string& what) {
  Image image = worlds.closed;
  image.acknowledged = worlds.last();
  for (auto file = image.files.rbegin(); file != image.files.rend(); ++file) {
    if (!file->first.starts_with("snapshots/") || how_many-- <= 0) continue;
    damage(&file->second);
  }
  const std::uint64_t before = damages->refused();
  damages->Try(image, what);
  CHECK(damages->refused() == before);  // there are older ones, and genesis
}

TEST_CASE(
    "chaos 53: with the newest snapshots damaged it opens from an older one "
    "or from the beginning",
    "[chaos]") {
  const Worlds worlds;
  Damages damages(worlds.truth());
  for (const int how_many : {1, 2, 9}) {
    TrySnapshots(
        worlds, &damages, how_many,
        [](std::string* bytes) { Flip(bytes, 4 * bytes->size()); },
        "flipped in " + std::to_string(how_many));
    TrySnapshots(
        worlds, &damages, how_many, [](std::string* bytes) { bytes->clear(); },
        "emptied " + std::to_string(how_many));
  }
}

TEST_CASE(
    "chaos 54: a snapshot of another world or another ticket is passed over",
    "[chaos]") {
  const Worlds worlds;
  const Recorded other = Record({.name = "another",
                                 .seed = 31,
                                 .inputs = 64,
                                 .sessions = 2,
                                 .snapshot_every = 6});
  const Image theirs = AfterCrash(other.log, other.log.size(), {});
  std::vector<std::string> foreign;
  for (const auto& [name, bytes] : theirs.files) {
    if (name.starts_with("snapshots/")) foreign.push_back(bytes);
  }
  REQUIRE(!foreign.empty());
  Damages damages(worlds.truth());
  for (const std::string& one : foreign) {
    TrySnapshots(
        worlds, &damages, 9, [&one](std::string* bytes) { *bytes = one; },
        "of another world");
  }
  std::string last;
  for (const auto& [name, bytes] : worlds.closed.files) {
    if (name.starts_with("snapshots/")) last = bytes;
  }
  TrySnapshots(
      worlds, &damages, 9, [&last](std::string* bytes) { *bytes = last; },
      "of another ticket");
}

}  // namespace
}  // namespace reenact
