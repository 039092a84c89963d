#include "reenact/harness/disk/recorded_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "reenact/harness/dice.h"

namespace reenact::disk {
namespace {

namespace fs = std::filesystem;
using Kind = Operation::Kind;
using What = Call::What;

constexpr std::uint64_t kSector = 512;
constexpr char kAbove[] = "..";  // where the recorded directory's own name is

std::string ParentOf(const std::string& name) {
  if (name.empty()) return kAbove;
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

// Nor with a dot at its end, which leads through a link.
std::string WithoutSlashesTwice(std::string_view path) {
  std::string result;
  if (path.ends_with("/.")) path.remove_suffix(1);
  for (const char c : path) {
    if (c != '/' || result.empty() || result.back() != '/') result += c;
  }
  while (result.size() > 1 && result.back() == '/') result.pop_back();
  return result;
}

// --- one file ----------------------------------------------------------------

void ApplyTo(const Operation& operation, std::string* bytes) {
  if (operation.kind == Kind::kTruncate) {
    bytes->resize(operation.offset, '\0');
    return;
  }
  const std::size_t end = operation.offset + operation.bytes.size();
  if (bytes->size() < end) bytes->resize(end, '\0');
  bytes->replace(operation.offset, operation.bytes.size(), operation.bytes);
}

// What was synced, and what has been done since.
struct File {
  std::string synced;
  std::vector<std::pair<std::size_t, const Operation*>> pending;

  void SyncUpTo(std::size_t began) {
    auto at = pending.begin();
    for (; at != pending.end() && at->first < began; ++at) {
      ApplyTo(*at->second, &synced);
    }
    pending.erase(pending.begin(), at);
  }
  std::string All() const {
    std::string bytes = synced;
    for (const auto& [index, operation] : pending) ApplyTo(*operation, &bytes);
    return bytes;
  }
};

// Some of a file's sectors, each as it was, as it was to be, zeros, or
// anything.
class SectorDraw {
 public:
  SectorDraw(const File& file, Dice* dice)
      : old_(file.synced), new_(file.All()), dice_(dice) {
    for (const auto& [index, operation] : file.pending) {
      if (operation->kind != Kind::kWrite) continue;
      spans_.emplace_back(operation->offset,
                          operation->offset + operation->bytes.size());
    }
  }

  std::string Draw() {
    std::string result = new_;
    result.resize(Size(), '\0');
    for (std::uint64_t at = 0; at < result.size(); at += kSector) {
      const std::uint64_t end =
          std::min<std::uint64_t>(at + kSector, result.size());
      // What is synced in a sector, and what is beyond.
      const std::uint64_t middle =
          std::clamp<std::uint64_t>(old_.size(), at, end);
      if (middle > at) DrawWritten(at, middle, &result);
      if (end > middle) DrawAdded(middle, end, &result);
    }
    return result;
  }

 private:
  std::uint64_t Size() {
    const std::uint64_t least = std::min(old_.size(), new_.size());
    const std::uint64_t most = std::max(old_.size(), new_.size());
    switch (dice_->Below(4)) {
      case 0:
        return old_.size();
      case 1:
        return least + dice_->Below(most - least + 1);
      default:
        return new_.size();
    }
  }

  void DrawWritten(std::uint64_t from, std::uint64_t to, std::string* bytes) {
    const std::string_view before =
        std::string_view(old_).substr(from, to - from);
    if (std::string_view(*bytes).substr(from, to - from) == before) return;
    const std::uint64_t what = dice_->Below(4);
    if (what == 0 && IsCovered(from, to)) return Garbage(from, to, bytes);
    if (what < 2) bytes->replace(from, before.size(), before);
  }

  void DrawAdded(std::uint64_t from, std::uint64_t to, std::string* bytes) {
    const std::uint64_t what = dice_->Below(4);
    if (what == 0) return Garbage(from, to, bytes);
    if (what == 1) bytes->replace(from, to - from, to - from, '\0');
  }

  void Garbage(std::uint64_t from, std::uint64_t to, std::string* bytes) {
    for (; from < to; ++from) (*bytes)[from] = static_cast<char>(dice_->Next());
  }

  bool IsCovered(std::uint64_t from, std::uint64_t to) const {
    return std::any_of(spans_.begin(), spans_.end(), [&](const auto& span) {
      return span.first <= from && to <= span.second;
    });
  }

  const std::string old_;
  const std::string new_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans_;
  Dice* const dice_;
};

std::string DrawBytes(const File& file, Dice* dice) {
  if (file.pending.empty()) return file.synced;
  switch (dice->Below(8)) {
    case 0:
      return file.synced;
    case 1:
      return file.All();
    case 2: {  // in order, up to some write
      File part = file;
      part.pending.resize(dice->Below(part.pending.size() + 1));
      return part.All();
    }
    default:
      return SectorDraw(file, dice).Draw();
  }
}

// --- a directory -------------------------------------------------------------

// What is on the disk, and what only the system knows yet.
class Model {
 public:
  void Apply(const Log& log, std::size_t index) {
    const Operation& operation = log[index];
    switch (operation.kind) {
      case Kind::kWrite:
      case Kind::kTruncate:
        files_[operation.node].pending.emplace_back(index, &operation);
        break;
      case Kind::kSync:
        files_[operation.node].SyncUpTo(operation.began);
        break;
      case Kind::kNames:
        pending_.emplace_back(index, &operation);
        break;
      case Kind::kSyncNames:
        SyncNames(operation);
        break;
      case Kind::kAcknowledged:
        acknowledged_ = operation.offset;
        break;
    }
  }

  Image Draw(const Damage& damage) {
    Dice dice(damage.seed);
    Names names = names_;
    const auto kept = KeepNames(damage, &dice);
    for (const Operation* operation : kept) SetNames(*operation, &names);
    Image image;
    image.acknowledged = acknowledged_;
    for (const auto& [name, entry] : names) {
      if (name.empty()) {
        image.exists = true;
      } else if (!IsReached(name, names)) {
        continue;
      } else if (entry.is_directory) {
        image.directories.insert(name);
      } else {
        image.files[name] = BytesOf(files_[*entry.node], damage, &dice);
      }
    }
    return image;
  }

 private:
  using Names = std::map<std::string, Operation::Name>;
  using Pending = std::vector<std::pair<std::size_t, const Operation*>>;

  static void SetNames(const Operation& operation, Names* names) {
    for (const Operation::Name& name : operation.names) {
      if (name.node) {
        (*names)[name.name] = name;
      } else {
        names->erase(name.name);
      }
    }
  }

  void SyncNames(const Operation& sync) {
    Pending rest;
    for (const auto& [index, operation] : pending_) {
      if (index < sync.began && operation->directory == sync.directory) {
        SetNames(*operation, &names_);
      } else {
        rest.emplace_back(index, operation);
      }
    }
    pending_ = std::move(rest);
  }

  std::vector<const Operation*> KeepNames(const Damage& damage,
                                          Dice* dice) const {
    std::vector<const Operation*> kept;
    if (damage.kind == Damage::Kind::kDropped) return kept;
    const bool drawn = damage.kind == Damage::Kind::kDrawn;
    // All of them, up to some, or any.
    const std::uint64_t how = drawn ? dice->Below(3) : 0;
    const std::size_t count =
        how == 1 ? dice->Below(pending_.size() + 1) : pending_.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (how == 2 && dice->Below(2) == 0) continue;
      kept.push_back(pending_[i].second);
    }
    return kept;
  }

  static bool IsReached(std::string name, const Names& names) {
    while (!name.empty()) {
      name = ParentOf(name);
      const auto at = names.find(name);
      if (at == names.end() || !at->second.is_directory) return false;
    }
    return true;
  }

  static std::string BytesOf(const File& file, const Damage& damage,
                             Dice* dice) {
    switch (damage.kind) {
      case Damage::Kind::kKilled:
        return file.All();
      case Damage::Kind::kDropped:
        return file.synced;
      case Damage::Kind::kDrawn:
        return DrawBytes(file, dice);
    }
    return {};
  }

  std::map<Node, File> files_;
  Names names_;
  Pending pending_;
  std::uint64_t acknowledged_ = 0;
};

absl::Status WriteBytes(const std::string& path, const std::string& bytes) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd == -1) return absl::ErrnoToStatus(errno, path);
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  const int error = errno;
  ::close(fd);
  return rest.empty() ? absl::OkStatus() : absl::ErrnoToStatus(error, path);
}

}  // namespace

// --- recording ---------------------------------------------------------------

RecordedDisk::RecordedDisk(const std::string& directory)
    : root_(WithoutSlashesTwice(directory)) {
  const absl::StatusOr<Image> found = ReadImage(directory);
  if (!found.ok() || !found->exists) return;
  MutexLock lock(&mutex_);
  SetNames({{"", ++last_node_, true}});
  for (const std::string& name : found->directories) {
    SetNames({{name, ++last_node_, true}});
  }
  for (const auto& [name, bytes] : found->files) {
    SetNames({{name, ++last_node_, false}});
    sizes_[last_node_] = bytes.size();
    Add({Kind::kWrite, last_node_, 0, bytes});
    Add({Kind::kSync, last_node_, 0, "", log_.size()});
  }
  for (const auto& [name, entry] : names_) {
    if (!entry.is_directory) continue;
    Add({Kind::kSyncNames, 0, 0, "", log_.size(), name});
  }
  Add({Kind::kSyncNames, 0, 0, "", log_.size(), kAbove});
  first_ = log_.size();
}

void RecordedDisk::SetAcknowledged(
    std::function<std::uint64_t()> acknowledged) {
  acknowledged_ = std::move(acknowledged);
}

int RecordedDisk::Before(Call*, std::uint64_t* mark) {
  MutexLock lock(&mutex_);
  *mark = log_.size();
  return 0;
}

void RecordedDisk::After(const Call& call, std::uint64_t mark) {
  const std::optional<std::string> name = NameOf(call.path);
  if (!name) return;
  const std::uint64_t told = acknowledged_ ? acknowledged_() : 0;
  MutexLock lock(&mutex_);
  if (told > told_) {
    told_ = told;
    Add({Kind::kAcknowledged, 0, told});
  }
  Record(call, *name, mark);
}

Log RecordedDisk::TakeLog() {
  MutexLock lock(&mutex_);
  return std::move(log_);
}

std::optional<std::string> RecordedDisk::NameOf(std::string_view path) const {
  const std::string plain = WithoutSlashesTwice(path);
  if (plain == root_) return "";
  if (plain == root_.substr(0, root_.rfind('/'))) return kAbove;
  if (!plain.starts_with(root_ + "/")) return std::nullopt;
  return plain.substr(root_.size() + 1);
}

void RecordedDisk::Add(Operation operation) {
  log_.push_back(std::move(operation));
}

const RecordedDisk::Entry* RecordedDisk::Find(const std::string& name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? nullptr : &at->second;
}

void RecordedDisk::SetNames(std::vector<Operation::Name> names) {
  for (const Operation::Name& name : names) {
    if (name.node) {
      names_[name.name] = {*name.node, name.is_directory};
    } else {
      names_.erase(name.name);
    }
  }
  Operation operation{Kind::kNames};
  operation.directory = ParentOf(names[0].name);
  operation.names = std::move(names);
  Add(std::move(operation));
}

void RecordedDisk::Open(const std::string& name, bool empty) {
  const Entry* const entry = Find(name);
  if (entry == nullptr) {
    SetNames({{name, ++last_node_, false}});
  } else if (empty && sizes_[entry->node] > 0) {
    sizes_[entry->node] = 0;
    Add({Kind::kTruncate, entry->node, 0});
  }
}

void RecordedDisk::Record(const Call& call, const std::string& name,
                          std::uint64_t began) {
  const Entry* const entry = Find(name);
  switch (call.what) {
    case What::kOpen:
    case What::kRead:
    case What::kList:
      return;
    case What::kCreate:
    case What::kReplace:
      return Open(name, call.what == What::kReplace);
    case What::kMakeDirectory:
      if (entry == nullptr) SetNames({{name, ++last_node_, true}});
      return;
    case What::kSyncDirectory:
      return Add({Kind::kSyncNames, 0, 0, "", began, name});
    default:
      break;
  }
  // A file that has lost its name is nothing that a crash could leave.
  if (entry == nullptr) return;
  std::uint64_t& size = sizes_[entry->node];
  switch (call.what) {
    case What::kWrite: {
      const std::uint64_t at = call.offset == Call::kAtEnd ? size : call.offset;
      size = std::max(size, at + call.bytes.size());
      return Add({Kind::kWrite, entry->node, at, std::string(call.bytes)});
    }
    case What::kTruncate:
      size = call.offset;
      return Add({Kind::kTruncate, entry->node, call.offset});
    case What::kSync:
      return Add({Kind::kSync, entry->node, 0, "", began});
    case What::kRename:
    case What::kLink: {
      const std::optional<std::string> to = NameOf(call.to);
      if (!to) return;
      std::vector<Operation::Name> names;
      names.push_back({*to, entry->node, entry->is_directory});
      if (call.what == What::kRename) names.push_back({name, std::nullopt});
      return SetNames(std::move(names));
    }
    default:
      return SetNames({{name, std::nullopt}});
  }
}

// --- crashes -----------------------------------------------------------------

Image AfterCrash(const Log& log, std::size_t count, const Damage& damage) {
  Model model;
  for (std::size_t i = 0; i < count; ++i) model.Apply(log, i);
  return model.Draw(damage);
}

absl::Status Write(const Image& image, const std::string& directory) {
  if (!image.exists) return absl::OkStatus();
  if (::mkdir(directory.c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(errno, directory);
  }
  // In order: what is above is there first.
  for (const std::string& name : image.directories) {
    const std::string path = directory + "/" + name;
    if (::mkdir(path.c_str(), 0700) != 0) {
      return absl::ErrnoToStatus(errno, path);
    }
  }
  for (const auto& [name, bytes] : image.files) {
    absl::Status status = WriteBytes(directory + "/" + name, bytes);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<Image> ReadImage(const std::string& directory) {
  Image image;
  std::error_code error;
  if (!fs::is_directory(directory, error)) return image;
  image.exists = true;
  for (fs::recursive_directory_iterator at(directory, error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = fs::relative(at->path(), directory).string();
    if (at->is_directory()) {
      image.directories.insert(name);
      continue;
    }
    std::ifstream file(at->path(), std::ios::binary);
    image.files[name].assign(std::istreambuf_iterator<char>(file), {});
    if (!file.good() && !file.eof()) {
      return absl::UnavailableError("cannot read " + at->path().string());
    }
  }
  if (error) return absl::UnavailableError(directory + ": " + error.message());
  return image;
}

std::string Describe(const Damage& damage) {
  switch (damage.kind) {
    case Damage::Kind::kKilled:
      return "killed";
    case Damage::Kind::kDropped:
      return "power cut, dropped";
    case Damage::Kind::kDrawn:
      return "power cut, seed " + std::to_string(damage.seed);
  }
  return "";
}

std::string Describe(const Log& log, std::size_t index) {
  if (index >= log.size()) return "the end";
  const Operation& operation = log[index];
  const auto name_of = [&](Node node) {
    std::string name = "?";
    for (std::size_t i = 0; i < index; ++i) {
      for (const Operation::Name& one : log[i].names) {
        if (one.node == node) name = one.name;
      }
    }
    return name;
  };
  switch (operation.kind) {
    case Kind::kWrite:
      return "write " + std::to_string(operation.bytes.size()) + " bytes at " +
             std::to_string(operation.offset) + " of " +
             name_of(operation.node);
    case Kind::kTruncate:
      return "truncate " + name_of(operation.node) + " to " +
             std::to_string(operation.offset);
    case Kind::kSync:
      return "sync " + name_of(operation.node);
    case Kind::kSyncNames:
      return "sync directory '" + operation.directory + "'";
    case Kind::kAcknowledged:
      return "acknowledge " + std::to_string(operation.offset);
    case Kind::kNames: {
      std::string text = "names:";
      for (const Operation::Name& one : operation.names) {
        text += (one.node ? " +" : " -") + one.name;
      }
      return text;
    }
  }
  return "";
}

}  // namespace reenact::disk
