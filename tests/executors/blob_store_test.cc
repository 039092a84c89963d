// Blobs: whole or not at all, found by what is in them.

#include "reenact/executors/blob_store.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

// The plain files below a directory.
std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  return files;
}

class Fixture {
 protected:
  const TemporaryDirectory directory_;
  const std::unique_ptr<BlobStore> blobs_ =
      BlobStore::Open(directory_ / "blobs").value();
};

TEST_CASE_METHOD(Fixture, "what is put can be got by its digest", "[blobs]") {
  for (const std::string& bytes :
       {std::string(), std::string("a\0b", 3), std::string(1'000'000, 'x')}) {
    const Digest digest = blobs_->Put(bytes).value();
    CHECK(digest == Hash(bytes));
    CHECK(blobs_->Get(digest, bytes.size()).value() == bytes);
    CHECK(blobs_->Has(digest));
    CHECK(blobs_->PathOf(digest) == directory_ / "blobs/" +
                                        digest.ToHex().substr(0, 2) + "/" +
                                        digest.ToHex().substr(2));
  }
  CHECK_FALSE(blobs_->Has(Hash("other")));
  CHECK(absl::IsNotFound(blobs_->Get(Hash("other"), 10).status()));
}

TEST_CASE_METHOD(Fixture, "the same bytes twice are one file", "[blobs]") {
  CHECK(blobs_->Put("x").value() == blobs_->Put("x").value());
  CHECK(FilesIn(directory_.path()).size() == 1);
}

TEST_CASE_METHOD(Fixture, "nobody else may read blobs", "[blobs]") {
  const Digest digest = blobs_->Put("x").value();
  const auto mode = [](const std::string& path) {
    struct stat status;
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777;
  };
  CHECK(mode(blobs_->PathOf(digest)) == 0600);
  CHECK(mode(fs::path(blobs_->PathOf(digest)).parent_path()) == 0700);
  CHECK(mode(directory_ / "blobs") == 0700);
}

TEST_CASE_METHOD(Fixture, "more than was asked for is refused", "[blobs]") {
  const Digest digest = blobs_->Put("four").value();
  CHECK(absl::IsResourceExhausted(blobs_->Get(digest, 3).status()));
}

TEST_CASE_METHOD(Fixture, "damage is found, named, and mended by putting again",
                 "[blobs]") {
  const Digest digest = blobs_->Put("right").value();
  WriteWholeFile(blobs_->PathOf(digest), "wrong");
  const absl::Status status = blobs_->Get(digest, 100).status();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Contains(blobs_->PathOf(digest)));
  CHECK(absl::IsDataLoss(blobs_->GetFile(digest, directory_ / "copy")));
  CHECK_FALSE(fs::exists(directory_ / "copy"));
  REQUIRE_OK(blobs_->Put("right"));
  CHECK(blobs_->Get(digest, 100).value() == "right");
}

TEST_CASE_METHOD(Fixture, "files go in and come out", "[blobs]") {
  const std::string bytes(700'000, 'f');
  WriteWholeFile(directory_ / "in", bytes);
  std::uint64_t size = 0;
  const Digest digest = blobs_->PutFile(directory_ / "in", &size).value();
  CHECK(digest == Hash(bytes));
  CHECK(size == bytes.size());
  REQUIRE_OK(blobs_->GetFile(digest, directory_ / "out"));
  CHECK(ReadWholeFile(directory_ / "out") == bytes);
  CHECK(
      absl::IsNotFound(blobs_->PutFile(directory_ / "none", nullptr).status()));
  CHECK(absl::IsNotFound(blobs_->GetFile(Hash("none"), directory_ / "out")));
  CHECK(ReadWholeFile(directory_ / "out") == bytes);
}

TEST_CASE_METHOD(Fixture, "links are not followed", "[blobs]") {
  const Digest digest = blobs_->Put("secret").value();
  const std::string path = blobs_->PathOf(digest);
  fs::rename(path, directory_ / "elsewhere");
  fs::create_symlink(directory_ / "elsewhere", path);
  CHECK(absl::IsFailedPrecondition(blobs_->Get(digest, 100).status()));
  CHECK_FALSE(blobs_->Has(digest));
  CHECK(absl::IsFailedPrecondition(blobs_->PutFile(path, nullptr).status()));

  fs::create_directory_symlink(directory_ / "blobs", directory_ / "link");
  CHECK(absl::IsFailedPrecondition(
      BlobStore::Open(directory_ / "link").status()));

  // A folder that leads out of the store.
  const Digest other = Hash("other");
  fs::create_directory(directory_ / "outside");
  fs::create_directory_symlink(directory_ / "outside",
                               fs::path(blobs_->PathOf(other)).parent_path());
  CHECK(absl::IsFailedPrecondition(blobs_->Put("other").status()));
  CHECK(fs::is_empty(directory_ / "outside"));
}

TEST_CASE_METHOD(
    Fixture,
    "trial 06: a store whose directory was moved or removed stays the same",
    "[blobs]") {
  const Digest before = blobs_->Put("before").value();
  fs::rename(directory_ / "blobs", directory_ / "old");
  const auto other = BlobStore::Open(directory_ / "blobs").value();
  const Digest after = blobs_->Put("after").value();
  CHECK(blobs_->Get(before, 100).value() == "before");
  CHECK(blobs_->PathOf(after) == directory_ / "old/" +
                                     after.ToHex().substr(0, 2) + "/" +
                                     after.ToHex().substr(2));
  CHECK(fs::is_empty(directory_ / "blobs"));
  fs::remove_all(directory_ / "old");
  CHECK_FALSE(blobs_->Put("later").ok());
  CHECK(fs::is_empty(directory_ / "blobs"));
}

TEST_CASE_METHOD(Fixture, "a pipe in a blob's place does not make it wait",
                 "[blobs]") {
  const Digest digest = blobs_->Put("x").value();
  fs::remove(blobs_->PathOf(digest));
  REQUIRE(::mkfifo(blobs_->PathOf(digest).c_str(), 0600) == 0);
  CHECK(absl::IsFailedPrecondition(blobs_->Get(digest, 100).status()));
}

TEST_CASE_METHOD(Fixture, "what a crash left half written goes at opening",
                 "[blobs]") {
  REQUIRE_OK(blobs_->Put("x"));
  WriteWholeFile(directory_ / "blobs/.new-1-1", "hal");
  REQUIRE_OK(BlobStore::Open(directory_ / "blobs"));
  CHECK(FilesIn(directory_.path()).size() == 1);
}

TEST_CASE_METHOD(Fixture, "any number of threads put the same bytes",
                 "[blobs]") {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      // Opening removes what is abandoned, and nothing else.
      const auto store = BlobStore::Open(directory_ / "blobs");
      for (int i = 0; i < 50 && store.ok(); ++i) {
        const std::string bytes(10'000, static_cast<char>('a' + i % 5));
        const auto digest = (*store)->Put(bytes);
        const auto got =
            digest.ok() ? (*store)->Get(*digest, 10'000) : digest.status();
        if (got.ok() && *got == bytes) ++right;
        if (!BlobStore::Open(directory_ / "blobs").ok()) --right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 200);
  CHECK(FilesIn(directory_.path()).size() == 5);
}

// On a file system of 64 KiB, which nobody else sees and which goes with the
// thread.
TEST_CASE_METHOD(Fixture, "a full disk leaves nothing behind", "[blobs]") {
  bool mounted = false;
  absl::Status full;
  absl::Status fits;
  std::size_t files = 0;
  std::thread([&] {
    if (::unshare(CLONE_NEWNS) != 0) return;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string place = directory_ / "small";
    fs::create_directory(place);
    mounted = ::mount("none", place.c_str(), "tmpfs", 0, "size=65536") == 0;
    if (!mounted) return;
    const auto store = BlobStore::Open(place + "/blobs");
    if (!store.ok()) return;
    full = (*store)->Put(std::string(100'000, 'x')).status();
    fits = (*store)->Put(std::string(10'000, 'x')).status();
    files = FilesIn(place).size();
  }).join();
  if (!mounted) {
    WARN("skipped: mounting is not allowed here");
    return;
  }
  CHECK(absl::IsResourceExhausted(full));
  CHECK_THAT(std::string(full.message()), Contains("small/blobs"));
  CHECK(fits.ok());
  CHECK(files == 1);
}

}  // namespace
}  // namespace reenact
