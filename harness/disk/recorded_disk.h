// A world's directory as any crash could leave it, without crashing: what is
// done to the disk is recorded once, and put together again up to any point.
//
//   disk::RecordedDisk recorder(directory);
//   {
//     disk::Watch watch(&recorder);
//     ... open a world in `directory`, run it, close it ...
//   }
//   const disk::Log log = recorder.TakeLog();
//   disk::Write(disk::AfterCrash(log, 17, {disk::Damage::kDropped}),
//   elsewhere);
//
// The disk that is assumed: a sync makes all that was written to its file
// before it began survive; a directory's sync does so with the names in it.
// Without one each write, sector by sector, and each change of a name may have
// happened or not, in any order. Sectors have 512 bytes and are written whole;
// what a write does not cover keeps its bytes.

#ifndef REENACT_HARNESS_DISK_RECORDED_DISK_H_
#define REENACT_HARNESS_DISK_RECORDED_DISK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/disk_watch.h"
#include "reenact/base/mutex.h"
#include "reenact/base/status.h"

namespace reenact::disk {

using Node = std::uint64_t;  // a file or directory, whatever its names

// Names are relative to the recorded directory, which itself is "".
struct Operation {
  enum class Kind : std::uint8_t {
    kWrite,         // `bytes` at `offset` of `node`
    kTruncate,      // `node` to `offset` bytes
    kSync,          // of `node`, what was done before operation `began`
    kNames,         // all of `names`, at once, in directory `directory`
    kSyncNames,     // of `directory`, what was done before `began`
    kAcknowledged,  // callers were told that ticket `offset` is durable
  };
  struct Name {
    std::string name;
    std::optional<Node> node;  // nullopt: it is gone
    bool is_directory = false;
  };
  Kind kind;
  Node node = 0;
  std::uint64_t offset = 0;
  std::string bytes = {};
  std::uint64_t began = 0;
  std::string directory = {};
  std::vector<Name> names = {};
};
using Log = std::vector<Operation>;

// For messages: "write 312 bytes at 512 of db/000004.log".
std::string Describe(const Log& log, std::size_t index);

// Records what is done in one directory, and below it.
//
// Thread safety: any thread.
class RecordedDisk final : public Watcher {
 public:
  // `directory` need not exist yet, its parent must; what is in it already
  // counts as synced and is part of every later image.
  explicit RecordedDisk(const std::string& directory);

  // Gives what callers have been told so far is durable; asked often, by any
  // thread. Empty: nothing. Set while nothing is done to the disk.
  void SetAcknowledged(std::function<std::uint64_t()> acknowledged);

  int Before(Call* call, std::uint64_t* mark) override;
  void After(const Call& call, std::uint64_t mark) override;
  void Read(std::string_view, std::uint64_t, char*, std::size_t) override {}

  // REQUIRES: nobody watches any more.
  Log TakeLog();
  // So many operations of the log stand for what was there before.
  std::size_t first() const { return first_; }

 private:
  struct Entry {
    Node node;
    bool is_directory;
  };

  std::optional<std::string> NameOf(std::string_view path) const;
  void Add(Operation operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Record(const Call& call, const std::string& name, std::uint64_t began)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetNames(std::vector<Operation::Name> names)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Open(const std::string& name, bool empty)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Entry* Find(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string root_;
  std::size_t first_ = 0;  // constant once it is made
  std::function<std::uint64_t()> acknowledged_;
  mutable Mutex mutex_;
  Log log_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Entry> names_ ABSL_GUARDED_BY(mutex_);
  std::map<Node, std::uint64_t> sizes_ ABSL_GUARDED_BY(mutex_);
  Node last_node_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t told_ ABSL_GUARDED_BY(mutex_) = 0;
};

// In what was not synced, a power cut may leave anything.
struct Damage {
  enum class Kind : std::uint8_t {
    kKilled,   // the process ended; the system wrote all it was given
    kDropped,  // the power went; nothing that was not synced was written
    kDrawn,    // the power went; what was written is drawn from `seed`
  };
  Kind kind = Kind::kKilled;
  std::uint64_t seed = 0;
};
std::string Describe(const Damage& damage);

// A directory and what is in it.
struct Image {
  bool exists = false;
  std::set<std::string> directories;         // below it
  std::map<std::string, std::string> files;  // bytes by name
  std::uint64_t acknowledged = 0;            // the ticket, before the crash

  friend bool operator==(const Image&, const Image&) = default;
};

// What is there after a crash before operation `count` of `log`.
Image AfterCrash(const Log& log, std::size_t count, const Damage& damage);

// Makes `directory`, which must not exist, hold `image`; files have the mode
// 0600. OK and nothing made if the image says that it does not exist.
absl::Status Write(const Image& image, const std::string& directory);
// What a directory holds.
absl::StatusOr<Image> ReadImage(const std::string& directory);

}  // namespace reenact::disk

#endif  // REENACT_HARNESS_DISK_RECORDED_DISK_H_
