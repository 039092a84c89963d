#include "tools/reenact/taken_rows.h"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "reenact/journal/archive.h"
#include "reenact/kernel/source.h"
#include "tools/reenact/feed.h"
#include "tools/reenact/input_file.h"

namespace reenact::tools {
namespace {

// A round that took in rows of the source, and how far.
struct RoundTaken {
  SourceMark mark;
  std::uint64_t block = 0;
};

// In order, without what was rolled back or what another file came after.
absl::StatusOr<std::vector<RoundTaken>> RoundsOf(const Archive& archive,
                                                 const std::string& source) {
  std::vector<RoundTaken> rounds;
  const auto drop_behind = [&rounds](std::uint64_t position) {
    while (!rounds.empty() && rounds.back().mark.position > position) {
      rounds.pop_back();
    }
  };
  REENACT_RETURN_IF_ERROR(archive.ScanEntries(
      0, [&](const BlockHeader& block, const Entry& entry, BytesView) {
        if (const auto* opened = std::get_if<entry::RoundOpened>(&entry)) {
          if (opened->source && opened->source->name == source) {
            drop_behind(opened->source->mark.position - 1);
            rounds.push_back({opened->source->mark, block.index});
          }
        } else if (const auto* back = std::get_if<entry::RolledBack>(&entry)) {
          const auto then = back->sources.find(source);
          drop_behind(then == back->sources.end() ? 0 : then->second.position);
        }
        return absl::OkStatus();
      }));
  return rounds;
}

// The events that a block admitted, by the position of their rows.
absl::StatusOr<std::map<std::uint64_t, std::vector<Event>>> EventsIn(
    const Archive& archive, std::uint64_t block) {
  std::map<std::uint64_t, std::vector<Event>> events;
  REENACT_RETURN_IF_ERROR(archive.ScanEntries(
      block,
      [&](const BlockHeader& at, const Entry& entry,
          BytesView) -> absl::Status {
        if (at.index != block) return absl::CancelledError();
        if (const auto* input = std::get_if<entry::InputAdmitted>(&entry)) {
          events[input->position].push_back(
              {archive.ReducerName(input->reducer), input->key, input->schema,
               input->payload});
        }
        return absl::OkStatus();
      }));
  return events;
}

// Whether the row is what these events were made of. Of one whose submission
// ids were known there are fewer than it stands for.
bool Gave(const absl::StatusOr<std::vector<Input>>& row,
          const std::vector<Event>& events) {
  if (!row.ok()) return false;
  std::size_t found = 0;
  for (const Input& input : *row) {
    if (found < events.size() && input.event == events[found]) ++found;
  }
  return found == events.size();
}

class Search {
 public:
  explicit Search(const TakenRows& taken) : taken_(taken) {}

  absl::StatusOr<std::optional<std::string>> Run() {
    REENACT_ASSIGN_OR_RETURN(archive_, Archive::Open(taken_.world));
    REENACT_ASSIGN_OR_RETURN(const std::vector<RoundTaken> rounds,
                             RoundsOf(*archive_, taken_.source));
    REENACT_RETURN_IF_ERROR(Open());
    std::uint64_t after = 0;
    for (const RoundTaken& round : rounds) {
      REENACT_ASSIGN_OR_RETURN(const bool same, BeginsWith(*rows_, round.mark));
      if (!same) return FirstBetween(after, round);
      after = round.mark.position;
    }
    return std::optional<std::string>();
  }

 private:
  absl::Status Open() {
    REENACT_ASSIGN_OR_RETURN(std::unique_ptr<InputFile> file,
                             InputFile::Open(taken_.file));
    if (!file->size()) return absl::FailedPreconditionError("not a file");
    rows_ = RowReader::Make(taken_.format, std::move(file));
    return absl::OkStatus();
  }

  // Of the rows behind number `after` that the round took in.
  absl::StatusOr<std::optional<std::string>> FirstBetween(
      std::uint64_t after, const RoundTaken& round) {
    REENACT_ASSIGN_OR_RETURN(const auto events,
                             EventsIn(*archive_, round.block));
    REENACT_RETURN_IF_ERROR(Open());
    REENACT_RETURN_IF_ERROR(BeginsWith(*rows_, {after, Digest()}).status());
    while (rows_->number() < round.mark.position) {
      const auto row = rows_->Next();
      if (!row.ok() || !*row) break;
      const auto admitted = events.find(rows_->number());
      if (!Gave(MapRow(taken_.mapper, **row, rows_->number()),
                admitted == events.end() ? std::vector<Event>()
                                         : admitted->second)) {
        break;
      }
    }
    return std::optional<std::string>(rows_->place());
  }

  const TakenRows& taken_;
  std::unique_ptr<Archive> archive_;
  std::unique_ptr<RowReader> rows_;
};

}  // namespace

std::optional<std::string> FirstOtherRow(const TakenRows& taken) {
  auto found = Search(taken).Run();
  return found.ok() ? *std::move(found) : std::nullopt;
}

}  // namespace reenact::tools
