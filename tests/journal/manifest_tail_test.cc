#include "reenact/journal/rocksdb/manifest_tail.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "reenact/journal/rocksdb/rocksdb_store.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/rng.h"
#include "tests/journal/store_fixture.h"
#include "tests/journal/temporary_directory.h"
#include "tests/journal/vectors.h"

namespace reenact {
namespace {

const ManifestTail kTail = {"MANIFEST-000005", 167, Bytes("\1\2\3", 3)};

TEST_CASE("a golden tail of a MANIFEST has the bytes it always had",
          "[journal][golden]") {
  const Stanza vector = ReadVectors("journal/manifest_tail.txt").at(0);
  const Bytes item = Unhex(vector.at("hex"));
  CHECK(EncodeManifestTail(kTail) == item + Unhex(vector.at("digest")));
  CHECK(cbor::Diagnose(item) == vector.at("diag"));
  CHECK(DecodeManifestTail(EncodeManifestTail(kTail)) == kTail);
}

TEST_CASE("a tail counts over what is left of a longer one", "[journal]") {
  CHECK(DecodeManifestTail(EncodeManifestTail(kTail) + "left") == kTail);
}

TEST_CASE("a tail that was cut, or of which a bit is another, is none",
          "[journal]") {
  const Bytes whole = EncodeManifestTail(kTail);
  for (std::size_t byte = 0; byte < whole.size(); ++byte) {
    CAPTURE(byte);
    REQUIRE_FALSE(DecodeManifestTail(whole.substr(0, byte)).has_value());
    for (int bit = 0; bit < 8; ++bit) {
      Bytes changed = whole;
      changed[byte] = static_cast<char>(changed[byte] ^ (1 << bit));
      REQUIRE_FALSE(DecodeManifestTail(changed).has_value());
    }
  }
}

TEST_CASE("only a MANIFEST that ends within its tail is torn", "[journal]") {
  CHECK_FALSE(IsTorn(kTail, 170, "\1\2\3"));
  CHECK(IsTorn(kTail, 170, "\1\2\4"));
  CHECK(IsTorn(kTail, 168, "\1"));
  CHECK(IsTorn(kTail, 167, ""));
  CHECK_FALSE(IsTorn(kTail, 166, ""));          // no crash does that
  CHECK_FALSE(IsTorn(kTail, 171, "\1\2\4\5"));  // it went on: it was durable
}

// --- with RocksDB ------------------------------------------------------------

// A power cut that left something else than a beginning of what was being added
// to RocksDB's MANIFEST used to make a world refuse to open, though nothing was
// lost (one in 8,000 of those that were drawn). What is added is in two places
// now, one after the other.

std::string ManifestIn(const std::string& directory) {
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const std::string name = file.path().filename();
    if (name.starts_with("MANIFEST-")) return file.path();
  }
  FAIL("there is no MANIFEST");
  return "";
}

constexpr std::uint64_t kBlocksMade = 8;

// A database whose last change of the MANIFEST is a file of cells.
void MakeDatabase(const std::string& path) {
  RocksDbOptions options;
  options.create = true;
  const auto store = OpenRocksDbStore(path, options).value();
  for (std::uint64_t i = 0; i < kBlocksMade; ++i) {
    REQUIRE_OK(GroupBuilder(store.get())
                   .Block("block " + std::to_string(i))
                   .Put(1, "cell", i + 1, "state " + std::to_string(i))
                   .OpenWork(std::to_string(i + 1))
                   .Commit(true));
  }
  REQUIRE_OK(store->Close());
}

void CheckWhole(const std::string& path, bool read_only) {
  RocksDbOptions options;
  options.read_only = read_only;
  const auto store = OpenRocksDbStore(path, options);
  REQUIRE_OK(store);
  CHECK((*store)->block_count() == kBlocksMade);
  CHECK((*store)->cells_through() == kBlocksMade);
  const auto cell = (*store)->ReadCell(1, "cell").value();
  REQUIRE(cell.has_value());
  CHECK(cell->state == "state " + std::to_string(kBlocksMade - 1));
}

TEST_CASE("a MANIFEST whose end tore in any way is read from its second copy",
          "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "db";
  MakeDatabase(path);
  const std::string manifest = ManifestIn(path);
  const std::string whole = ReadWholeFile(manifest);
  const auto tail =
      DecodeManifestTail(ReadWholeFile(path + "/" + kManifestTailName));
  REQUIRE(tail.has_value());
  REQUIRE(tail->offset + tail->bytes.size() == whole.size());
  REQUIRE(tail->bytes.size() > 16);

  constexpr std::uint64_t kSeed = 1;
  Rng rng(Seed{kSeed});
  for (int i = 0; i < 30; ++i) {
    CAPTURE(i);
    std::string torn = whole;
    torn.resize(tail->offset + rng.Below(tail->bytes.size() + 1));
    for (std::size_t at = tail->offset; i % 3 != 0 && at < torn.size(); ++at) {
      torn[at] = i % 3 == 1 ? '\0' : static_cast<char>(rng.Below(256));
    }
    WriteWholeFile(manifest, torn);
    CheckWhole(path, /*read_only=*/true);
  }
  CheckWhole(path, /*read_only=*/false);
}

TEST_CASE("without its second copy, a MANIFEST that is damaged is refused",
          "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "db";
  MakeDatabase(path);
  const std::string tail = path + "/" + kManifestTailName;
  const std::string manifest = ManifestIn(path);
  std::string whole = ReadWholeFile(manifest);
  whole[whole.size() - 3] = static_cast<char>(whole[whole.size() - 3] ^ 1);
  WriteWholeFile(manifest, whole);
  SECTION("there is none") { std::filesystem::remove(tail); }
  SECTION("it is torn") { std::filesystem::resize_file(tail, 60); }
  SECTION("it is of another MANIFEST") {
    WriteWholeFile(tail, EncodeManifestTail(kTail));
  }
  for (const bool read_only : {false, true}) {
    RocksDbOptions options;
    options.read_only = read_only;
    CHECK(absl::IsDataLoss(OpenRocksDbStore(path, options).status()));
  }
}

}  // namespace
}  // namespace reenact
