// Recorded blocks as a script: what a world needs to be driven again.

#ifndef REENACT_REPLAY_SCRIPT_H_
#define REENACT_REPLAY_SCRIPT_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/journal/block_stream.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/config.h"
#include "reenact/world/world_internal.h"

namespace reenact {

// Thread safety: none; a world's ordered role uses it, and its writer.
class BlockScript final : public RoundScript {
 public:
  // Plays the blocks that `stream` gives, of which the first is `first`.
  BlockScript(std::unique_ptr<BlockStream> stream, std::uint64_t first,
              const WorldConfig& config);

  // Ends before block `end`, until told otherwise.
  void EndBefore(std::uint64_t end) { end_ = end; }
  // Ends before the first block for which this says no.
  void EndUnless(std::function<bool(std::uint64_t block)> may_play) {
    may_play_ = std::move(may_play);
  }

  // The inputs of the next block. DataLoss: they cannot be read; see problem().
  // Others: as the stream says.
  absl::StatusOr<bool> Next(ScriptedRound* round) override;

  // Takes the oldest block that was played and not taken yet; null if there is
  // none.
  std::unique_ptr<KeptBlock> TakePlayed();

  // The modules that history went on with, change by change.
  const std::vector<ModuleRecord>& modules() const { return modules_; }
  // Whether the round read last changes modules or rules, or asks for a
  // snapshot, and has no other input.
  bool controls() const { return controls_; }
  // The block read last; and what is wrong with it, if its inputs cannot be
  // read.
  std::uint64_t block() const { return next_ - 1; }
  const std::string& problem() const { return problem_; }

 private:
  absl::Status Read(const KeptBlock& block, ScriptedRound* round);
  absl::Status Take(EntryKind kind, EntryReader* entries, ScriptedRound* round);
  absl::Status TakeInput(const entry::InputAdmittedView& input,
                         ScriptedRound* round) const;
  absl::Status TakeControl(EntryReader* entries, ScriptedRound* round);
  absl::Status Unreadable(std::uint64_t index, const absl::Status& status);

  const std::unique_ptr<BlockStream> stream_;
  std::uint64_t next_;
  std::uint64_t end_;
  std::function<bool(std::uint64_t)> may_play_;  // may be empty
  std::deque<std::unique_ptr<KeptBlock>> played_;
  WorldConfig config_;  // as of the round read last
  std::vector<ModuleRecord> modules_;
  bool controls_ = false;
  std::string problem_;
};

}  // namespace reenact

#endif  // REENACT_REPLAY_SCRIPT_H_
