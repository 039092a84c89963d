#include "reenact/journal/directory/head.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>

#include "reenact/kernel/cbor/cbor.h"
#include "tests/journal/temporary_directory.h"
#include "tests/journal/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

HeadRecord SomeRecord(std::uint64_t block_count) {
  HeadRecord record;
  record.world_id = Bytes(16, 'w');
  record.epoch = 2;
  record.block_count = block_count;
  record.event_id = EventId{10 * block_count};
  record.hash = Hash("block");
  return record;
}

// A head file with `count` records, of 1 to `count` blocks.
std::string WriteHead(const TemporaryDirectory& directory,
                      std::uint64_t count) {
  std::string path = directory / "HEAD";
  auto file = HeadFile::Open(path, std::nullopt).value();
  for (std::uint64_t i = 1; i <= count; ++i) {
    REQUIRE_OK(file->Write(SomeRecord(i), true));
  }
  return path;
}

void Damage(const std::string& path, std::size_t offset) {
  std::string bytes = ReadWholeFile(path);
  bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
  WriteWholeFile(path, bytes);
}

TEST_CASE("a golden head record has the bytes it always had",
          "[journal][golden]") {
  const Stanza vector = ReadVectors("journal/head.txt").at(0);
  const Bytes map = Unhex(vector.at("hex"));
  const Bytes digest = Unhex(vector.at("digest"));
  Bytes slot = map;
  slot.resize(kHeadSlotSize - kDigestSize, '\0');
  slot += digest;

  const absl::StatusOr<HeadRecord> record = DecodeHeadSlot(slot);

  REQUIRE_OK(record);
  CHECK(record->generation == 5);
  CHECK(record->epoch == 2);
  CHECK(record->block_count == 2);
  CHECK(record->event_id == EventId{1});
  CHECK(record->clean);
  CHECK(EncodeHeadSlot(*record) == slot);
  CHECK(cbor::Diagnose(map) == vector.at("diag"));
}

TEST_CASE("a head slot with one bit changed is refused", "[journal]") {
  const Bytes slot = EncodeHeadSlot(SomeRecord(3));
  REQUIRE(slot.size() == kHeadSlotSize);
  for (std::size_t byte = 0; byte < slot.size(); ++byte) {
    CAPTURE(byte);
    Bytes changed = slot;
    changed[byte] = static_cast<char>(changed[byte] ^ 1 << byte % 8);
    REQUIRE(absl::IsDataLoss(DecodeHeadSlot(changed).status()));
  }
}

TEST_CASE("padding that is not zero is refused though the digest is right",
          "[journal]") {
  Bytes slot = EncodeHeadSlot(SomeRecord(3));
  slot.resize(kHeadSlotSize - kDigestSize);
  slot.back() = '\1';
  slot += Hasher("reenact.head.v1").Add(slot).Finish().view();
  REQUIRE(absl::IsDataLoss(DecodeHeadSlot(slot).status()));
}

TEST_CASE("without a head file there is no record, and nothing is damaged",
          "[journal]") {
  const TemporaryDirectory directory;
  const HeadFindings findings = ReadHeadFile(directory / "HEAD").value();
  CHECK_FALSE(findings.file_exists);
  CHECK_FALSE(findings.newest().has_value());
  CHECK_FALSE(findings.damaged[0]);
  CHECK_FALSE(findings.damaged[1]);
}

TEST_CASE("a new head file is private, of its final size, and says nothing",
          "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 0);
  struct stat status;
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(status.st_size == 2 * kHeadSlotSize);
  const HeadFindings findings = ReadHeadFile(path).value();
  CHECK(findings.file_exists);
  CHECK_FALSE(findings.newest().has_value());
}

TEST_CASE("head records take turns in two slots, and the newest counts",
          "[journal]") {
  const TemporaryDirectory directory;
  const auto count = GENERATE(range<std::uint64_t>(1, 6));
  const HeadFindings findings =
      ReadHeadFile(WriteHead(directory, count)).value();

  REQUIRE(findings.newest().has_value());
  CHECK(findings.newest()->block_count == count);
  CHECK(findings.newest()->generation == count);
  CHECK(findings.slots[count % 2] == findings.newest());
  CHECK(findings.slots[1 - count % 2].has_value() == (count > 1));
}

TEST_CASE("a torn head slot falls back to the one before it", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 5);  // generation 5: slot 1
  Damage(path, kHeadSlotSize + 100);

  const HeadFindings findings = ReadHeadFile(path).value();

  CHECK(findings.damaged[1]);
  CHECK_FALSE(findings.damaged[0]);
  REQUIRE(findings.newest().has_value());
  CHECK(findings.newest()->block_count == 4);

  // Going on from there writes over the torn slot, never over the good one.
  auto file = HeadFile::Open(path, findings.newest()).value();
  REQUIRE_OK(file->Write(SomeRecord(6), true));
  const HeadFindings later = ReadHeadFile(path).value();
  CHECK_FALSE(later.damaged[1]);
  CHECK(later.newest()->block_count == 6);
  CHECK(later.slots[0]->block_count == 4);
}

// A power cut may tear every write since the last sync.
TEST_CASE("a synced head record outlives any number that are not",
          "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 3);  // generation 3: slot 1
  {
    auto file = HeadFile::Open(path, ReadHeadFile(path)->newest()).value();
    for (std::uint64_t i = 4; i < 8; ++i) {
      REQUIRE_OK(file->Write(SomeRecord(i), false));
      const HeadFindings findings = ReadHeadFile(path).value();
      CHECK(findings.newest()->block_count == i);
      CHECK(findings.slots[1]->block_count == 3);
    }
    REQUIRE_OK(file->Write(SomeRecord(8), true));
    REQUIRE_OK(file->Write(SomeRecord(9), false));
  }
  Damage(path, kHeadSlotSize);
  CHECK(ReadHeadFile(path)->newest()->block_count == 8);
}

TEST_CASE("two damaged head slots are two damaged head slots", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 5);
  Damage(path, 0);
  Damage(path, 2 * kHeadSlotSize - 1);
  const HeadFindings findings = ReadHeadFile(path).value();
  CHECK(findings.damaged[0]);
  CHECK(findings.damaged[1]);
  CHECK_FALSE(findings.newest().has_value());
}

TEST_CASE("a head file cut short has a damaged slot", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 5);
  const auto size = GENERATE(1, 50, 4095, 4097, 8191);
  CAPTURE(size);
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(size));
  const HeadFindings findings = ReadHeadFile(path).value();
  CHECK(findings.damaged[size < 4096 ? 0 : 1]);
}

TEST_CASE("a head record in the other one's slot is damage", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 5);
  const std::string bytes = ReadWholeFile(path);
  WriteWholeFile(path,
                 bytes.substr(kHeadSlotSize) + bytes.substr(0, kHeadSlotSize));
  const HeadFindings findings = ReadHeadFile(path).value();
  CHECK(findings.damaged[0]);
  CHECK(findings.damaged[1]);
}

TEST_CASE("a head file that is a symbolic link is refused", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = WriteHead(directory, 1);
  std::filesystem::rename(path, directory / "elsewhere");
  std::filesystem::create_symlink(directory / "elsewhere", path);
  CHECK(absl::IsFailedPrecondition(ReadHeadFile(path).status()));
  CHECK(
      absl::IsFailedPrecondition(HeadFile::Open(path, std::nullopt).status()));
}

}  // namespace
}  // namespace reenact
