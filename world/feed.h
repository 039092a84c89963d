// The source that World::Feed() pulls inputs from.

#ifndef REENACT_WORLD_FEED_H_
#define REENACT_WORLD_FEED_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/source.h"
#include "reenact/workers/step_run.h"
#include "reenact/world/world.h"

namespace reenact {

// One feed at a time, and how far a source with a name was pulled, which the
// rounds record.
//
// Thread safety: none; it is the ordered role's while the world runs.
class Feed {
 public:
  // `rules` outlives it.
  explicit Feed(const StepRules* rules) : rules_(rules) {}

  // Begins to pull `source`. `known`: the sources that the world knows by name.
  // FailedPrecondition: its format, or how many it knows, allows no such name.
  absl::Status Begin(InputSource& source, const SourceMarks& known,
                     std::uint64_t format);
  // No more is pulled, and what was and is in no round is not noted.
  void End() {
    source_ = nullptr;
    moved_ = false;
  }
  bool active() const { return source_ != nullptr; }

  // Pulls one row: its inputs and their reducers are in row() and reducers().
  // False: there is none, and the feed has ended; status() says why.
  bool Pull();
  std::vector<Input>& row() { return row_; }
  const std::vector<ReducerId>& reducers() const { return reducers_; }

  // Why it ended: OK at the source's end, else an error of the source or of a
  // row that it gave.
  const absl::Status& status() const { return status_; }
  absl::Status TakeStatus() { return std::exchange(status_, {}); }

  // How far the source with a name was pulled since the last call; nullopt: no
  // further, or it has no name.
  std::optional<SourceRead> TakeRead();

 private:
  bool CheckRow();
  bool Refuse(absl::Status wrong);
  void EndWith(absl::Status status);

  const StepRules* const rules_;
  InputSource* source_ = nullptr;
  SourceRead read_;     // of a source with a name
  bool moved_ = false;  // since TakeRead()
  absl::Status status_;
  std::vector<Input> row_;
  std::vector<ReducerId> reducers_;
};

}  // namespace reenact

#endif  // REENACT_WORLD_FEED_H_
