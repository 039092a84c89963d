// What the RocksDB store promises beyond store_test.cc: files, crashes, damage.

#include "reenact/journal/rocksdb/rocksdb_store.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "reenact/kernel/rng.h"
#include "rocksdb/db.h"
#include "rocksdb/sst_file_writer.h"
#include "tests/journal/store_fixture.h"
#include "tests/journal/temporary_directory.h"

extern char** environ;

namespace reenact {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Store> OpenOrFail(const std::string& path,
                                  bool read_only = false) {
  RocksDbOptions options;
  options.create = !read_only;
  options.read_only = read_only;
  auto opened = OpenRocksDbStore(path, options);
  REQUIRE_OK(opened);
  return *std::move(opened);
}

absl::Status StatusOfOpening(const std::string& path, bool read_only = false) {
  RocksDbOptions options;
  options.read_only = read_only;
  return OpenRocksDbStore(path, options).status();
}

// Block `index` of the worlds below, and the state of their only cell after it.
Bytes BlockOf(std::uint64_t index) {
  return "block " + std::to_string(index) + Bytes(200, 'x');
}

absl::Status CommitNext(Store* store, bool sync) {
  const std::uint64_t index = store->block_count();
  return GroupBuilder(store)
      .Block(BlockOf(index))
      .Put(1, "cell", index + 1, BlockOf(index))
      .OpenWork(std::to_string(index + 1))
      .Commit(sync);
}

// What is there is a prefix of what was written; the cells are as of one of the
// blocks, and the open work is what belongs to them.
void CheckPrefix(const Store& store) {
  const std::vector<Bytes> blocks = AllBlocks(store);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    REQUIRE(blocks[i] == BlockOf(i));
  }
  const std::uint64_t through = store.cells_through();
  REQUIRE(through <= blocks.size());
  CellMap expected;
  if (through > 0) expected[{1, "cell"}] = {through, blocks[through - 1]};
  REQUIRE(AllCells(store) == expected);
  REQUIRE(store.ReadOpenWork().value() ==
          (through > 0 ? std::to_string(through) : ""));
}

// Runs a hidden test case of this program in another process, with `directory`
// to work in; its output goes to `*out`. Not fork() alone: RocksDB's threads
// would be missing in the child.
pid_t StartChild(const std::string& name, const std::string& directory,
                 int* out) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
  setenv("REENACT_TEST_CHILD", directory.c_str(), 1);
  std::string program = "/proc/self/exe";
  std::string test = name;
  char* arguments[] = {program.data(), test.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr,
                                arguments, environ);
  unsetenv("REENACT_TEST_CHILD");
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  REQUIRE(error == 0);
  *out = ends[0];
  return child;
}

// The directory that a child was given; null in an ordinary run.
const char* ChildDirectory() { return std::getenv("REENACT_TEST_CHILD"); }

void Tell(char what) { REQUIRE(write(3, &what, 1) == 1); }

TEST_CASE("a store without a database is not found", "[journal]") {
  const TemporaryDirectory directory;
  CHECK(absl::IsNotFound(StatusOfOpening(directory / "db")));
  CHECK(absl::IsNotFound(StatusOfOpening(directory / "db", true)));
  fs::create_directory(directory / "db");
  CHECK(absl::IsNotFound(StatusOfOpening(directory / "db")));
  CHECK(absl::IsNotFound(StatusOfOpening(directory / "db", true)));
  CHECK(fs::is_empty(directory / "db"));
}

TEST_CASE("a reopened store has every committed group", "[journal]") {
  const TemporaryDirectory directory;
  for (std::uint64_t opens = 0; opens < 5; ++opens) {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    REQUIRE(store->block_count() == opens * 10);
    REQUIRE(store->cells_through() == opens * 10);
    CheckPrefix(*store);
    for (int i = 0; i < 10; ++i) REQUIRE_OK(CommitNext(store.get(), i == 9));
    REQUIRE_OK(store->Close());
  }
  CheckPrefix(*OpenOrFail(directory / "db"));
}

TEST_CASE("a store that is not closed goes on from the cells in its files",
          "[journal]") {
  const TemporaryDirectory directory;
  std::uint64_t through = 0;
  for (std::uint64_t opens = 0; opens < 4; ++opens) {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    REQUIRE(store->block_count() == opens * 50);
    CheckPrefix(*store);
    REQUIRE(store->cells_through() >= through);
    through = store->cells_through();
    // What opening does with the blocks behind the cells.
    CellBatch cells;
    CommitGroup group;
    group.first_index = store->block_count();
    if (group.first_index > 0) {
      cells.Add(1, "cell", EventId{group.first_index},
                BlockOf(group.first_index - 1));
    }
    group.cells = {&cells};
    REQUIRE_OK(store->Commit(group, false));
    CHECK(store->cells_through() == opens * 50);
    for (int i = 0; i < 50; ++i) REQUIRE_OK(CommitNext(store.get(), false));
    CheckPrefix(*store);
  }
}

// A world that was written before cells had files of their own has them in the
// log, and cells_through beside the open work.
void MakeOldDatabase(const std::string& path) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* opened = nullptr;
  REQUIRE(rocksdb::DB::Open(options, path,
                            {{rocksdb::kDefaultColumnFamilyName, options},
                             {"blocks", options},
                             {"cells", options}},
                            &families, &opened)
              .ok());
  const std::unique_ptr<rocksdb::DB> db(opened);
  const auto number = [](char value) { return std::string(7, '\0') + value; };
  const std::string reducer("\0\0\0\1", 4);
  rocksdb::WriteBatch batch;
  for (char i = 0; i < 2; ++i) {
    batch.Put(families[1], number(i), BlockOf(static_cast<std::uint64_t>(i)));
  }
  batch.Put(families[2], reducer + "cell", number(2) + BlockOf(1));
  batch.Put(families[0], "cells_through", number(2));
  batch.Put(families[0], "open_work", "2");
  REQUIRE(db->Write(rocksdb::WriteOptions(), &batch).ok());
  for (rocksdb::ColumnFamilyHandle* family : families) {
    REQUIRE(db->DestroyColumnFamilyHandle(family).ok());
  }
}

TEST_CASE("cells of older worlds are found, and go on", "[journal]") {
  const TemporaryDirectory directory;
  MakeOldDatabase(directory / "db");
  CheckPrefix(*OpenOrFail(directory / "db", true));
  std::unique_ptr<Store> store = OpenOrFail(directory / "db");
  REQUIRE(store->cells_through() == 2);
  CheckPrefix(*store);
  const bool closed = GENERATE(true, false);
  for (int i = 0; i < 40; ++i) REQUIRE_OK(CommitNext(store.get(), true));
  CheckPrefix(*store);
  if (closed) REQUIRE_OK(store->Close());
  store.reset();
  store = OpenOrFail(directory / "db");
  CHECK(store->cells_through() >= (closed ? 42 : 2));
  CheckPrefix(*store);
}

TEST_CASE("a view over many layers is the cells of its moment", "[journal]") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
  Rng rng(Seed{11});
  CellMap expected;
  std::vector<std::pair<std::unique_ptr<CellView>, CellMap>> views;
  for (std::uint64_t i = 0; i < 200; ++i) {
    GroupBuilder group(store.get());
    group.Block("b").OpenWork("open work");
    for (int n = 0; n < 5; ++n) {
      const auto reducer = static_cast<ReducerId>(rng.Below(3));
      const std::string key = std::to_string(rng.Below(30));
      if (rng.Chance(1, 3)) {
        group.Delete(reducer, key, i);
        expected.erase({reducer, key});
      } else {
        group.Put(reducer, key, i, key);
        expected[{reducer, key}] = {i, key};
      }
    }
    REQUIRE_OK(group.Commit(false));
    if (rng.Chance(1, 2)) views.emplace_back(store->View(), expected);
  }
  for (const auto& [view, cells] : views) CHECK(AllCells(*view) == cells);
  views.clear();
  REQUIRE_OK(store->Close());
  CHECK(AllCells(*OpenOrFail(directory / "db", true)) == expected);
}

// Bytes for the disk count for the life of a world, not of a process.
TEST_CASE("what was written is known after closing, too", "[journal]") {
  const TemporaryDirectory directory;
  const auto written = [](const Store& store) {
    std::map<std::string, std::uint64_t> stats;
    for (const auto& [name, value] : store.Stats()) stats[name] = value;
    return std::pair(stats.at("written.user.bytes"),
                     stats.at("written.disk.bytes"));
  };
  std::uint64_t given = 0;
  for (int opens = 0; opens < 3; ++opens) {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    CHECK(written(*store).first == given);
    for (int i = 0; i < 10; ++i) {
      const std::size_t size = BlockOf(store->block_count()).size();
      REQUIRE_OK(CommitNext(store.get(), false));
      given += 2 * size + std::string_view("cell").size();
    }
    REQUIRE_OK(store->Close());
    const std::unique_ptr<Store> reader = OpenOrFail(directory / "db", true);
    CHECK(written(*reader).first == given);
    CHECK(written(*reader).second > given);
  }
}

TEST_CASE("a database is open for writing once", "[journal]") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
  const absl::Status second = StatusOfOpening(directory / "db");
  CHECK(absl::IsFailedPrecondition(second));
  INFO(second.ToString());
  CHECK(ToStd(second.message()).find("has the database open") !=
        std::string::npos);
  REQUIRE_OK(CommitNext(store.get(), true));
}

TEST_CASE("a reader beside the writer sees what was there when it opened",
          "[journal]") {
  const TemporaryDirectory directory;
  const std::unique_ptr<Store> writer = OpenOrFail(directory / "db");
  for (int i = 0; i < 20; ++i) REQUIRE_OK(CommitNext(writer.get(), false));
  const std::unique_ptr<Store> reader = OpenOrFail(directory / "db", true);
  REQUIRE_OK(CommitNext(writer.get(), true));

  CHECK(reader->block_count() == 20);
  CheckPrefix(*reader);
  CHECK(absl::IsFailedPrecondition(CommitNext(reader.get(), true)));
  CHECK(absl::IsFailedPrecondition(reader->ClearCells()));
  CHECK(absl::IsFailedPrecondition(reader->CutBlocks(0)));
  REQUIRE_OK(reader->Close());
  CHECK(writer->block_count() == 21);
  CheckPrefix(*writer);
}

TEST_CASE("only their owner may read the files", "[journal]") {
  const TemporaryDirectory directory;
  const mode_t umask_before = umask(0);
  {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    REQUIRE_OK(CommitNext(store.get(), true));
  }
  OpenOrFail(directory / "db");  // makes a table of what was in the log
  umask(umask_before);
  CHECK(fs::status(directory / "db").permissions() == fs::perms::owner_all);
  int files = 0;
  for (const auto& file : fs::directory_iterator(directory / "db")) {
    INFO(file.path());
    CHECK(file.status().permissions() ==
          (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(file.path().filename().string().find("LOG") == std::string::npos);
    ++files;
  }
  CHECK(files >= 5);
}

TEST_CASE("a view may outlive its store", "[journal]") {
  const TemporaryDirectory directory;
  std::unique_ptr<Store> store = OpenOrFail(directory / "db");
  REQUIRE_OK(CommitNext(store.get(), true));
  std::unique_ptr<CellView> view = store->View();
  REQUIRE_OK(store->Close());
  store.reset();
  CHECK(AllCells(*view).size() == 1);
  view.reset();
  CheckPrefix(*OpenOrFail(directory / "db"));
}

TEST_CASE("what is left of a database is no reason to make a new one",
          "[journal]") {
  const TemporaryDirectory directory;
  {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    REQUIRE_OK(CommitNext(store.get(), true));
  }
  fs::remove(directory / "db/CURRENT");
  RocksDbOptions options;
  options.create = true;
  const absl::Status status =
      OpenRocksDbStore(directory / "db", options).status();
  CHECK(absl::IsDataLoss(status));
  CHECK(ToStd(status.message()).find("db/CURRENT") == 0);
}

TEST_CASE("child: commits until it is killed", "[.child]") {
  if (ChildDirectory() == nullptr) return;
  const std::unique_ptr<Store> store = OpenOrFail(ChildDirectory());
  for (;;) {
    REQUIRE_OK(CommitNext(store.get(), true));
    Tell('.');
  }
}

// A file of cells used to be taken over with an empty range of keys where the
// read of its first key failed, and its cells were silently gone. What such a
// moment has left is refused.
TEST_CASE(
    "trial 04d: a file of cells whose range of keys holds none is a refusal",
    "[journal]") {
  const TemporaryDirectory directory;
  REQUIRE_OK(CommitNext(OpenOrFail(directory / "db").get(), true));
  {
    rocksdb::Options options;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "blocks", "cells"}) {
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    REQUIRE(
        rocksdb::DB::Open(options, directory / "db", families, &handles, &db)
            .ok());
    rocksdb::SstFileWriter file(rocksdb::EnvOptions(), options);
    REQUIRE(file.Open(directory / "file").ok());
    REQUIRE(file.Put("", "").ok());
    REQUIRE(file.Finish().ok());
    REQUIRE(db->IngestExternalFile(handles[2], {directory / "file"}, {}).ok());
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }
  for (const bool read_only : {true, false}) {
    const absl::Status opened = StatusOfOpening(directory / "db", read_only);
    CHECK(absl::IsDataLoss(opened));
    CHECK_THAT(std::string(opened.message()), Catch::Contains(".sst"));
  }
}

TEST_CASE("a killed process has lost nothing that was synced", "[journal]") {
  const TemporaryDirectory directory;
  const int seed = GENERATE(range(1, 6));
  Rng rng(Seed{static_cast<std::uint64_t>(seed)});
  std::uint64_t synced = 0;
  for (int kills = 0; kills < 4; ++kills) {
    int out = -1;
    const pid_t child =
        StartChild("child: commits until it is killed", directory / "db", &out);
    char byte = 0;
    for (std::uint64_t goal = synced + rng.Below(100);
         synced < goal && read(out, &byte, 1) == 1;) {
      ++synced;
    }
    REQUIRE(kill(child, SIGKILL) == 0);
    while (read(out, &byte, 1) == 1) ++synced;
    close(out);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    if (synced == 0) continue;  // killed before there was a database
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db", true);
    INFO("seed " << seed << ", kill " << kills);
    REQUIRE(store->block_count() >= synced);
    CheckPrefix(*store);
    // Files are made of the cells beside the writing, again and again.
    if (store->block_count() > 100) CHECK(store->cells_through() > 0);
    synced = store->block_count();
  }
}

// Exit codes of the child, beyond Catch2's.
constexpr int kNotPermitted = 77;
constexpr int kAsExpected = 78;

// A file system of a few MiB that only this process sees.
bool MountSmallDisk(const char* directory) {
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", directory, "tmpfs", 0, "size=8m") == 0;
}

TEST_CASE("child: fills a disk", "[.child]") {
  if (ChildDirectory() == nullptr) return;
  if (!MountSmallDisk(ChildDirectory())) _exit(kNotPermitted);
  const std::string directory = ChildDirectory();
  const std::string ballast = directory + "/ballast";
  // As much as the log can hold, which opening makes a table of.
  WriteWholeFile(ballast, std::string(4 << 20, 'b'));
  std::uint64_t committed = 0;
  {
    const std::unique_ptr<Store> store = OpenOrFail(directory + "/db");
    absl::Status status;
    while (status.ok()) {
      status = CommitNext(store.get(), true);
      if (status.ok()) ++committed;
    }
    INFO(status.ToString());
    REQUIRE(absl::IsResourceExhausted(status));
    REQUIRE(ToStd(status.message()).find('\n') == std::string::npos);
    REQUIRE(ToStd(status.message()).find(directory) == std::string::npos);
    fs::remove(ballast);  // there is room again, and yet
    REQUIRE(CommitNext(store.get(), true) == status);
    REQUIRE(store->Sync() == status);
    REQUIRE(store->block_count() == committed);
    static_cast<void>(store->Close());
  }
  const std::unique_ptr<Store> store = OpenOrFail(directory + "/db");
  REQUIRE(store->block_count() >= committed);
  CheckPrefix(*store);
  REQUIRE_OK(CommitNext(store.get(), true));
  REQUIRE_OK(store->Close());
  _exit(kAsExpected);
}

TEST_CASE("a full disk ends the store, and room lets it open again",
          "[journal]") {
  const TemporaryDirectory directory;
  int out = -1;
  const pid_t child = StartChild("child: fills a disk", directory.path(), &out);
  close(out);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotPermitted) {
    WARN("skipped: mounting in a namespace is not permitted here");
    return;
  }
  CHECK(WEXITSTATUS(status) == kAsExpected);
}

// Opens what a flipped bit has left: refused, or shorter, or as it was; never
// something that nobody wrote.
void CheckDamaged(const std::string& path, std::uint64_t written) {
  RocksDbOptions options;
  options.read_only = true;
  auto opened = OpenRocksDbStore(path, options);
  if (!opened.ok()) {
    INFO(opened.status().ToString());
    REQUIRE(ToStd(opened.status().message()).find('\n') == std::string::npos);
    REQUIRE((absl::IsDataLoss(opened.status()) ||
             absl::IsNotFound(opened.status())));
    return;
  }
  const std::unique_ptr<Store> store = *std::move(opened);
  REQUIRE(store->block_count() <= written);
  for (std::uint64_t i = 0; i < store->block_count(); ++i) {
    const auto block = store->ReadBlock(i);
    if (block.ok()) {
      REQUIRE(*block == BlockOf(i));
    } else {
      INFO(block.status().ToString());
      REQUIRE(absl::IsDataLoss(block.status()));
    }
  }
  const auto cell = store->ReadCell(1, "cell");
  if (!cell.ok()) {
    REQUIRE(absl::IsDataLoss(cell.status()));
  } else if (cell->has_value()) {
    REQUIRE((*cell)->version.value <= written);
    REQUIRE((*cell)->state == BlockOf((*cell)->version.value - 1));
  }
}

TEST_CASE("a flipped bit is found, or costs the tail, and never lies",
          "[journal]") {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kBlocks = 12;
  {
    std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    for (int i = 0; i < 6; ++i) REQUIRE_OK(CommitNext(store.get(), true));
    REQUIRE_OK(store->Close());
    store = OpenOrFail(directory / "db");  // the log becomes tables
    for (int i = 0; i < 6; ++i) REQUIRE_OK(CommitNext(store.get(), true));
    REQUIRE_OK(store->Close());
  }
  constexpr std::uint64_t kSeed = 1;
  Rng rng(Seed{kSeed});
  int tables = 0;
  int logs = 0;
  for (const auto& file : fs::directory_iterator(directory / "db")) {
    const std::string path = file.path().string();
    const bool table = path.ends_with(".sst");
    const bool log = path.ends_with(".log");
    const bool manifest = path.find("MANIFEST") != std::string::npos;
    const std::string whole = ReadWholeFile(path);
    if ((!table && !log && !manifest) || whole.empty()) continue;
    tables += table ? 1 : 0;
    logs += log ? 1 : 0;
    for (int i = 0; i < 60; ++i) {
      const std::size_t at = rng.Below(whole.size());
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.Below(8)));
      WriteWholeFile(path, damaged);
      INFO(file.path().filename() << ", byte " << at);
      CheckDamaged(directory / "db", kBlocks);
    }
    WriteWholeFile(path, whole);
  }
  CHECK(tables >= 2);
  CHECK(logs >= 1);
  CheckPrefix(*OpenOrFail(directory / "db", true));
}

TEST_CASE("a log cut at any place leaves a prefix", "[journal]") {
  const TemporaryDirectory directory;
  {
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db");
    for (int i = 0; i < 5; ++i) REQUIRE_OK(CommitNext(store.get(), true));
  }
  std::string log;
  for (const auto& file : fs::directory_iterator(directory / "db")) {
    if (file.path().extension() == ".log") log = file.path().string();
  }
  const std::string whole = ReadWholeFile(log);
  std::uint64_t most = 0;
  for (std::size_t size = 0; size <= whole.size(); size += 37) {
    WriteWholeFile(log, whole.substr(0, size));
    INFO("cut at " << size);
    const std::unique_ptr<Store> store = OpenOrFail(directory / "db", true);
    REQUIRE(store->block_count() >= most);
    most = store->block_count();
    CheckPrefix(*store);
  }
  CHECK(most >= 4);
}

}  // namespace
}  // namespace reenact
