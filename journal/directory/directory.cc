#include "reenact/journal/directory/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "reenact/base/instrument.h"
#include "reenact/base/posix_file.h"
#include "reenact/journal/entry.h"
#include "reenact/journal/recorded_config.h"
#include "reenact/journal/rocksdb/rocksdb_store.h"

namespace reenact {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMarkerStart = "reenact world format ";
constexpr std::size_t kMarkerBytesMax = 64;

std::string WithoutTrailingSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string Quoted(const std::string& path) {
  return "'" + posix::Shown(path) + "'";
}

// The number of a marker's one line, or nullopt.
std::optional<std::uint64_t> ParseMarker(std::string_view text) {
  if (text.substr(0, kMarkerStart.size()) != kMarkerStart) return std::nullopt;
  text.remove_prefix(kMarkerStart.size());
  if (text.size() < 2 || text.size() > 10 || text.back() != '\n') {
    return std::nullopt;
  }
  text.remove_suffix(1);
  if (text.front() == '0') return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return number;
}

std::string Marker() {
  return std::string(kMarkerStart) + std::to_string(kFormatVersion) + "\n";
}

std::string MarkerTemporary(const WorldPaths& paths) {
  return paths.marker + ".tmp";
}

// --- ownership ---------------------------------------------------------------

std::string OwnerByName(const WorldPaths& paths) {
  return paths.name + "/OWNER";
}

// Whether `path` still is the file that `fd` has open.
absl::StatusOr<bool> IsSameFile(int fd, const std::string& path) {
  struct stat by_fd;
  struct stat by_path;
  if (::fstat(fd, &by_fd) != 0) {
    return posix::ErrnoStatus(errno, path, "cannot look at it");
  }
  if (::lstat(path.c_str(), &by_path) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return false;
    return posix::ErrnoStatus(errno, path, "cannot look at it");
  }
  return by_fd.st_dev == by_path.st_dev && by_fd.st_ino == by_path.st_ino;
}

class OwnershipImpl final : public Ownership {
 public:
  OwnershipImpl(posix::File file, const WorldPaths& paths)
      : file_(std::move(file)), paths_(paths) {}

  absl::Status Check() const override {
    const std::string by_name = OwnerByName(paths_);
    REENACT_ASSIGN_OR_RETURN(const bool same, IsSameFile(file_.fd(), by_name));
    if (same) return absl::OkStatus();
    return absl::UnavailableError(ToAbsl(
        Quoted(by_name) +
        ": it is gone or another one since the world was opened, as if the "
        "directory had been moved, removed or replaced; the world that was "
        "opened is in " +
        Quoted(paths_.directory)));
  }

 private:
  const posix::File file_;  // the lock lives as long as the file is open
  const WorldPaths paths_;
};

absl::Status Lock(posix::File& file) {
  REENACT_ASSIGN_OR_RETURN(const bool locked, file.TryLock());
  if (locked) return absl::OkStatus();
  return absl::FailedPreconditionError(
      ToAbsl(Quoted(file.path()) +
             ": another process, or this one, has the world open for writing; "
             "close it there first"));
}

// --- looking -----------------------------------------------------------------

// Answers the questions of Findings one after the other; each step may rely on
// the ones before it, and leaves the rest at its defaults when it ends the
// search.
class Inspector {
 public:
  explicit Inspector(const WorldPaths& paths) : paths_(paths) {}

  absl::StatusOr<Findings> Look() {
    REENACT_ASSIGN_OR_RETURN(bool go_on, LookAtDirectory());
    if (!go_on) return found_;
    REENACT_ASSIGN_OR_RETURN(go_on, LookAtMarker());
    if (!go_on) return found_;
    // HEAD before the blocks: beside a process that writes, the blocks seen
    // are then at least those that HEAD acknowledges.
    REENACT_RETURN_IF_ERROR(LookAtHead());
    REENACT_ASSIGN_OR_RETURN(go_on, OpenDatabase());
    if (!go_on) return found_;
    REENACT_ASSIGN_OR_RETURN(go_on, LookAtGenesis());
    if (!go_on) return found_;
    REENACT_ASSIGN_OR_RETURN(go_on, LookAtHeadBlock());
    if (!go_on) return found_;
    REENACT_RETURN_IF_ERROR(LookAtTail());
    found_.cells_not_ahead = store_->cells_through() <= found_.kept_blocks();
    return found_;
  }

 private:
  // Keeps the first detail: it is the cause, later ones its consequences.
  void Detail(std::string detail) {
    if (found_.detail.empty()) found_.detail = std::move(detail);
  }

  // What stands for damage as a detail, everything else as an error of looking.
  absl::Status DamageOrError(const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kOutOfRange:
      case absl::StatusCode::kNotFound:
        Detail(std::string(status.message()));
        return absl::OkStatus();
      default:
        return Annotate(status, Quoted(paths_.directory));
    }
  }

  absl::StatusOr<bool> LookAtDirectory() {
    REENACT_ASSIGN_OR_RETURN(const posix::Kind kind,
                             posix::KindOfPath(paths_.directory));
    if (kind == posix::Kind::kNothing) return false;
    if (kind != posix::Kind::kDirectory) {
      return absl::FailedPreconditionError(
          ToAbsl(Quoted(paths_.directory) +
                 (kind == posix::Kind::kLink
                      ? ": it is a symbolic link; name the directory itself"
                      : ": it is not a directory; name another one")));
    }
    found_.directory_exists = true;
    REENACT_RETURN_IF_ERROR(LookAtNames());
    return !found_.directory_empty;
  }

  absl::Status LookAtNames() {
    const std::string leftover =
        fs::path(MarkerTemporary(paths_)).filename().string();
    std::error_code error;
    fs::directory_iterator at(paths_.directory, error);
    for (; !error && at != fs::directory_iterator(); at.increment(error)) {
      const std::string name = at->path().filename().string();
      // Where a file system is mounted, lost+found comes with it.
      if (name == leftover || name == "lost+found") continue;
      found_.directory_empty = false;
      Detail(name + " is there, and no file WORLD");
    }
    if (!error) return absl::OkStatus();
    return posix::ErrnoStatus(error.value(), paths_.directory,
                              "cannot list it");
  }

  absl::StatusOr<bool> LookAtMarker() {
    absl::StatusOr<std::optional<Bytes>> text =
        posix::ReadSmallFile(paths_.marker, kMarkerBytesMax);
    if (absl::IsDataLoss(text.status())) text = std::optional<Bytes>("");
    REENACT_RETURN_IF_ERROR(text.status());
    if (!text->has_value()) return false;
    found_.detail.clear();
    const std::optional<std::uint64_t> format = ParseMarker(**text);
    if (!format) {
      Detail("WORLD does not say \"reenact world format N\"");
      return false;
    }
    found_.marker_valid = true;
    found_.found_format = *format;
    found_.format_known =
        *format >= kFormatVersionOldest && *format <= kFormatVersion;
    return found_.format_known;
  }

  absl::Status LookAtHead() {
    HeadFindings head;
    // A slot that is being written at this moment looks damaged.
    for (int attempt = 0; attempt < 3; ++attempt) {
      REENACT_ASSIGN_OR_RETURN(head, ReadHeadFile(paths_.head));
      if (!head.damaged[0] && !head.damaged[1]) break;
    }
    found_.head = head.newest();
    found_.head_valid = found_.head.has_value();
    found_.head_damaged =
        (head.damaged[0] || head.damaged[1]) && !head.first_write_torn();
    for (std::size_t i = 0; i < 2; ++i) {
      if (!head.damaged[i]) continue;
      found_.head_detail = "HEAD: the slot at byte " +
                           std::to_string(i * kHeadSlotSize) + " is damaged";
      Detail(found_.head_detail);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> OpenDatabase() {
    REENACT_ASSIGN_OR_RETURN(const posix::Kind kind,
                             posix::KindOfPath(paths_.db));
    if (kind == posix::Kind::kNothing) return false;
    if (kind != posix::Kind::kDirectory) {
      return absl::FailedPreconditionError(
          ToAbsl(Quoted(paths_.db) + ": it is not a directory; put it back"));
    }
    // RocksDB takes one that it may not list for one that is not there.
    REENACT_RETURN_IF_ERROR(
        posix::File::Open(paths_.db, O_RDONLY | O_DIRECTORY).status());
    RocksDbOptions options;
    options.read_only = true;
    auto store = OpenRocksDbStore(paths_.db, options);
    if (absl::IsNotFound(store.status())) return false;
    found_.database_exists = true;
    if (!store.ok()) {
      REENACT_RETURN_IF_ERROR(DamageOrError(store.status()));
      return false;
    }
    store_ = *std::move(store);
    found_.database_opens = true;
    found_.block_count = store_->block_count();
    // A database without a block is the start of a creation, unless there are
    // cells in it.
    if (found_.block_count == 0 && store_->cells_through() == 0) {
      found_.database_exists = found_.database_opens = false;
    }
    return found_.database_exists;
  }

  // The block, or nullopt and a detail if it is damaged.
  absl::StatusOr<std::optional<BlockView>> ReadBlock(std::uint64_t index) {
    const absl::StatusOr<Bytes> stored = store_->ReadBlock(index);
    if (!stored.ok()) {
      REENACT_RETURN_IF_ERROR(DamageOrError(stored.status()));
      return std::optional<BlockView>();
    }
    block_bytes_ = *stored;
    const absl::StatusOr<BlockView> block = DecodeBlock(block_bytes_);
    if (!block.ok() || block->header.index != index) {
      Detail("db: block " + std::to_string(index) + ": " +
             (block.ok() ? "another block stands in its place"
                         : std::string(block.status().message())));
      return std::optional<BlockView>();
    }
    return std::optional<BlockView>(*block);
  }

  absl::StatusOr<bool> LookAtGenesis() {
    std::optional<BlockView> block;
    REENACT_ASSIGN_OR_RETURN(block, ReadBlock(0));
    if (!block) return false;
    absl::StatusOr<Entry> entry = DecodeEntry(block->entries);
    if (absl::IsUnimplemented(entry.status())) {
      Detail("db: block 0: " + std::string(entry.status().message()));
      found_.format_known = false;
      return false;
    }
    if (!entry.ok() || KindOf(*entry) != EntryKind::kGenesis) {
      Detail("db: block 0: " + (entry.ok()
                                    ? std::string("its entry is not Genesis")
                                    : std::string(entry.status().message())));
      return false;
    }
    found_.genesis = std::get<entry::Genesis>(*std::move(entry)).config;
    const absl::Status makes_sense = CheckGenesis(*found_.genesis);
    if (!makes_sense.ok()) {
      Detail("db: block 0: Genesis: " + std::string(makes_sense.message()));
      return false;
    }
    found_.genesis_valid = true;
    genesis_hash_ = block->hash;
    return true;
  }

  // Whether the tail is worth looking at.
  absl::StatusOr<bool> LookAtHeadBlock() {
    if (!found_.head_valid) {
      if (!found_.head_damaged) AssumeHeadAtGenesis();
      if (found_.block_count > 1) {
        Detail("HEAD is missing, and db holds " +
               std::to_string(found_.block_count) + " blocks");
      }
    } else if (found_.head->world_id != found_.genesis->world_id) {
      Detail("HEAD is of world " + ToHex(found_.head->world_id) +
             ", block 0 of world " + ToHex(found_.genesis->world_id));
    } else {
      found_.same_world = true;
    }
    if (!found_.head || (found_.head_valid && !found_.same_world)) return false;

    const std::uint64_t count = found_.head->block_count;
    if (count == 0 || found_.block_count < count) {
      Detail("HEAD acknowledges " + std::to_string(count) +
             " blocks, db holds " + std::to_string(found_.block_count));
      return false;
    }
    found_.reaches_head = found_.head_valid;
    std::optional<BlockView> block;
    REENACT_ASSIGN_OR_RETURN(block, ReadBlock(count - 1));
    if (!block) return false;
    if (block->hash != found_.head->hash ||
        block->header.last() != found_.head->event_id) {
      Detail("db: block " + std::to_string(count - 1) + " has the hash " +
             block->hash.ToHex() + ", HEAD says " + found_.head->hash.ToHex());
      return false;
    }
    found_.head_hash_matches = found_.head_valid;
    end_ = *block;
    return true;
  }

  // Creation writes genesis first and HEAD after it.
  void AssumeHeadAtGenesis() {
    HeadRecord record;
    record.world_id = found_.genesis->world_id;
    record.block_count = 1;
    record.hash = genesis_hash_;
    found_.head = std::move(record);
  }

  absl::Status LookAtTail() {
    const std::uint64_t from = found_.head->block_count;
    found_.tail_exists = found_.block_count > from;
    if (!found_.tail_exists) return absl::OkStatus();
    const absl::Status scanned =
        store_->ScanBlocks(from, [this](std::uint64_t index, BytesView stored) {
          return TakeTailBlock(index, stored);
        });
    found_.tail_valid =
        scanned.ok() && from + found_.tail_valid_blocks == found_.block_count;
    return scanned.ok() ? scanned : DamageOrError(scanned);
  }

  absl::Status TakeTailBlock(std::uint64_t index, BytesView stored) {
    const absl::StatusOr<BlockView> block = DecodeBlock(stored);
    if (!block.ok()) {
      return Annotate(block.status(), "db: block " + std::to_string(index));
    }
    REENACT_RETURN_IF_ERROR(
        Annotate(CheckFollows(end_.header, end_.hash, block->header), "db"));
    end_ = *block;
    ++found_.tail_valid_blocks;
    return absl::OkStatus();
  }

  const WorldPaths& paths_;
  Findings found_;
  std::unique_ptr<Store> store_;
  Bytes block_bytes_;
  Digest genesis_hash_;
  BlockView end_;  // of the blocks that count so far; only header and hash
};

absl::Status ExpectPlain(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(path));
  if (kind != posix::Kind::kLink) return absl::OkStatus();
  return absl::FailedPreconditionError(
      ToAbsl(Quoted(path) +
             ": it is a symbolic link; a world's files are files of its "
             "directory, put the file itself there"));
}

absl::Status ExpectNoLinks(const WorldPaths& paths) {
  for (const std::string* path : {&paths.marker, &paths.owner, &paths.head,
                                  &paths.db, &paths.snapshots}) {
    REENACT_RETURN_IF_ERROR(ExpectPlain(*path));
  }
  return absl::OkStatus();
}

// --- deciding ----------------------------------------------------------------

OpenDecision DecideWithoutHead(const Findings& found) {
  if (found.head_damaged) return OpenDecision::kRefuseDamaged;
  if (!found.database_exists) return OpenDecision::kCreate;
  if (!found.database_opens || !found.genesis_valid || found.tail_exists ||
      found.tail_valid) {
    return OpenDecision::kRefuseDamaged;
  }
  return found.cells_not_ahead ? OpenDecision::kOpenExtend
                               : OpenDecision::kOpenRebuildCells;
}

OpenDecision DecideWithHead(const Findings& found) {
  if (!found.database_exists) return OpenDecision::kRefuseLostAcked;
  if (!found.database_opens) return OpenDecision::kRefuseDamaged;
  if (!found.genesis_valid) return OpenDecision::kRefuseDamaged;
  if (!found.same_world) return OpenDecision::kRefuseForeign;
  if (!found.reaches_head) return OpenDecision::kRefuseLostAcked;
  if (!found.head_hash_matches) return OpenDecision::kRefuseDamaged;
  if (!found.tail_exists && found.tail_valid) {
    return OpenDecision::kRefuseDamaged;
  }
  if (!found.cells_not_ahead) return OpenDecision::kOpenRebuildCells;
  if (!found.tail_exists) return OpenDecision::kOpen;
  return found.tail_valid ? OpenDecision::kOpenExtend
                          : OpenDecision::kOpenCutTail;
}

std::string Because(const Findings& findings) {
  return findings.detail.empty() ? std::string() : ": " + findings.detail;
}

absl::Status SetMode(const fs::path& path, unsigned mode) {
  if (::chmod(path.c_str(), mode) == 0 || errno == ENOENT) {
    return absl::OkStatus();  // the database removes files as it likes
  }
  return posix::ErrnoStatus(errno, path.string(), "cannot set its mode");
}

absl::Status WriteMarker(const WorldPaths& paths) {
  const std::string temporary = MarkerTemporary(paths);
  {
    REENACT_ASSIGN_OR_RETURN(
        posix::File file,
        posix::File::Open(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    REENACT_RETURN_IF_ERROR(file.Append(Marker()));
    REENACT_FAILPOINT_RETURN("making: WORLD.tmp written");
    REENACT_RETURN_IF_ERROR(file.Sync());
  }
  REENACT_FAILPOINT_RETURN("making: WORLD.tmp synced");
  return posix::RenameDurably(temporary, paths.marker);
}

}  // namespace

WorldPaths::WorldPaths(std::string path)
    : directory(WithoutTrailingSlashes(std::move(path))),
      marker(directory + "/WORLD"),
      owner(directory + "/OWNER"),
      head(directory + "/HEAD"),
      db(directory + "/db"),
      snapshots(directory + "/snapshots"),
      name(directory) {}

absl::StatusOr<WorldPaths> WorldPaths::Opened() const {
  REENACT_ASSIGN_OR_RETURN(posix::Directory one,
                           posix::Directory::Open(directory));
  WorldPaths paths(one.path());
  std::error_code error;
  paths.name = fs::absolute(name, error).string();
  if (error) return posix::ErrnoStatus(error.value(), name, "where is it");
  paths.opened = std::make_shared<const posix::Directory>(std::move(one));
  return paths;
}

std::string WorldPaths::Snapshot(EventId event_id) const {
  std::string digits = std::to_string(event_id.value);
  digits.insert(0, 20 - digits.size(), '0');
  return snapshots + "/" + digits + ".snap";
}

absl::StatusOr<std::unique_ptr<Ownership>> AcquireOwnership(
    const WorldPaths& paths) {
  // Again if somebody removed the file between opening and locking it.
  for (int attempt = 0; attempt < 8; ++attempt) {
    REENACT_ASSIGN_OR_RETURN(posix::File file,
                             posix::File::Open(paths.owner, O_RDWR | O_CREAT));
    REENACT_RETURN_IF_ERROR(Lock(file));
    REENACT_ASSIGN_OR_RETURN(const bool same,
                             IsSameFile(file.fd(), OwnerByName(paths)));
    if (!same) continue;
    return std::unique_ptr<Ownership>(
        std::make_unique<OwnershipImpl>(std::move(file), paths));
  }
  return absl::FailedPreconditionError(
      ToAbsl(Quoted(OwnerByName(paths)) +
             ": somebody keeps replacing the lock file, or the world"));
}

std::string_view OpenDecisionName(OpenDecision decision) {
  switch (decision) {
    case OpenDecision::kCreate:
      return "create";
    case OpenDecision::kOpen:
      return "open";
    case OpenDecision::kOpenExtend:
      return "open, keeping the tail";
    case OpenDecision::kOpenCutTail:
      return "open, cutting the tail";
    case OpenDecision::kOpenRebuildCells:
      return "open, rebuilding cells";
    case OpenDecision::kRefuseNotAWorld:
      return "refuse: not a world";
    case OpenDecision::kRefuseVersion:
      return "refuse: unknown format";
    case OpenDecision::kRefuseDamaged:
      return "refuse: damaged";
    case OpenDecision::kRefuseLostAcked:
      return "refuse: acknowledged blocks are gone";
    case OpenDecision::kRefuseForeign:
      return "refuse: of different worlds";
  }
  return "unknown";
}

OpenDecision Decide(const Findings& found) {
  if (found.directory_empty) {
    const bool nothing = !found.marker_valid && !found.head_valid &&
                         !found.head_damaged && !found.database_exists;
    return nothing ? OpenDecision::kCreate : OpenDecision::kRefuseDamaged;
  }
  if (!found.directory_exists) return OpenDecision::kRefuseDamaged;
  if (!found.marker_valid) return OpenDecision::kRefuseNotAWorld;
  if (!found.format_known) return OpenDecision::kRefuseVersion;
  return found.head_valid ? DecideWithHead(found) : DecideWithoutHead(found);
}

absl::StatusOr<Findings> Inspect(const WorldPaths& paths) {
  REENACT_RETURN_IF_ERROR(ExpectNoLinks(paths));
  return Inspector(paths).Look();
}

absl::Status RefusalStatus(OpenDecision decision, const Findings& findings,
                           const WorldPaths& paths) {
  const std::string world = Quoted(paths.directory);
  switch (decision) {
    case OpenDecision::kRefuseNotAWorld:
      return absl::FailedPreconditionError(
          ToAbsl(world + ": the directory is not a world" + Because(findings) +
                 "; name another directory, or an empty one"));
    case OpenDecision::kRefuseVersion:
      return absl::UnimplementedError(ToAbsl(
          world + ": the world has format " +
          std::to_string(findings.found_format) + ", this program reads " +
          std::to_string(kFormatVersionOldest) + " to " +
          std::to_string(kFormatVersion) + Because(findings) +
          "; open it with a program that knows its format"));
    case OpenDecision::kRefuseDamaged:
      return absl::DataLossError(
          ToAbsl(world + ": the world is damaged" + Because(findings) +
                 "; nothing was changed, restore it from a backup"));
    case OpenDecision::kRefuseLostAcked:
      return absl::DataLossError(
          ToAbsl(world + ": blocks that were acknowledged are gone" +
                 Because(findings) +
                 "; nothing was changed, restore db/ from a backup"));
    case OpenDecision::kRefuseForeign:
      return absl::FailedPreconditionError(
          ToAbsl(world + ": its files are of different worlds" +
                 Because(findings) + "; put the right HEAD and db/ together"));
    default:
      return absl::OkStatus();
  }
}

namespace {

// Those of its parents that are not there, to survive a crash as it does.
absl::Status MakeParents(const std::string& directory) {
  std::vector<std::string> missing;
  for (std::string at = posix::ParentOf(directory); at != "." && at != "/";
       at = posix::ParentOf(at)) {
    REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(at));
    if (kind != posix::Kind::kNothing) break;
    missing.push_back(at);
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    REENACT_RETURN_IF_ERROR(posix::MakeDirectory(*at));
    REENACT_RETURN_IF_ERROR(posix::SyncParent(*at));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CreateWorldDirectory(const WorldPaths& named) {
  REENACT_RETURN_IF_ERROR(MakeParents(named.directory));
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(named.directory));
  REENACT_RETURN_IF_ERROR(posix::SyncParent(named.directory));
  REENACT_ASSIGN_OR_RETURN(const WorldPaths paths, named.Opened());
  REENACT_FAILPOINT_RETURN("making: an empty directory");
  // First, so that whatever else a crash leaves is known to be a world's.
  REENACT_RETURN_IF_ERROR(WriteMarker(paths));
  REENACT_RETURN_IF_ERROR(
      posix::File::Open(paths.owner, O_RDWR | O_CREAT).status());
  REENACT_FAILPOINT_RETURN("making: before db/");
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(paths.db));
  REENACT_FAILPOINT_RETURN("making: before snapshots/");
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(paths.snapshots));
  return posix::SyncDirectory(paths.directory);
}

absl::Status FixModes(const WorldPaths& paths) {
  REENACT_RETURN_IF_ERROR(SetMode(paths.directory, posix::kDirectoryMode));
  std::error_code error;
  fs::recursive_directory_iterator at(paths.directory, error);
  for (; !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    const fs::file_type type = at->symlink_status(error).type();
    if (error && error.value() != ENOENT) break;
    error.clear();
    if (type == fs::file_type::directory) {
      REENACT_RETURN_IF_ERROR(SetMode(at->path(), posix::kDirectoryMode));
    } else if (type == fs::file_type::regular) {
      REENACT_RETURN_IF_ERROR(SetMode(at->path(), posix::kFileMode));
    }
  }
  if (!error || error.value() == ENOENT) return absl::OkStatus();
  return posix::ErrnoStatus(error.value(), paths.directory, "cannot list it");
}

}  // namespace reenact
