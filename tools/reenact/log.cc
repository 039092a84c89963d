// `reenact log` and `reenact export`: the journal's entries.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"
#include "tools/reenact/render.h"

namespace reenact::tools {
namespace {

constexpr const char* kLogHelp =
    "Prints journal entries in order, each on a line: event_id (- if it is "
    "about none), kind, and what it says, in CBOR diagnostic notation with "
    "names for numbers.\n"
    "\n"
    "With --from or --to: the entries of those steps, and the inputs admitted "
    "in the same round that caused them.";

constexpr const char* kExportHelp =
    "Writes all entries of the journal to standard output: exactly as "
    "recorded, as a CBOR sequence (RFC 8742), or as JSON lines with names.";

constexpr auto kFollowEvery = std::chrono::milliseconds(500);

struct LogOptions {
  std::string world;
  std::optional<std::uint64_t> from;
  std::optional<std::uint64_t> to;
  std::vector<std::string> kinds;
  bool follow = false;
  bool json = false;
};

absl::Status WriteFailed() { return absl::AbortedError("output closed"); }

ExitCode EndOfOutput(const absl::Status& status) {
  if (absl::IsAborted(status)) return Complain(OutputError());
  return status.ok() ? ExitCode::kOk : Complain(status);
}

// Prints the entries of one archive that the options ask for.
class EntryPrinter {
 public:
  EntryPrinter(const LogOptions& options, std::set<EntryKind> kinds)
      : options_(options), kinds_(std::move(kinds)) {}

  // Prints from `next_block` on, and moves it on.
  absl::Status PrintFrom(const Archive& archive, std::uint64_t* next_block) {
    archive_ = &archive;
    const NameOf name_of = [&](ReducerId id) {
      return archive.ReducerName(id);
    };
    name_of_ = &name_of;
    REENACT_RETURN_IF_ERROR(archive.ScanEntries(
        *next_block, [&](const BlockHeader& block, const Entry& entry,
                         BytesView) { return OnEntry(block, entry); }));
    *next_block = std::max(*next_block, archive.block_count());
    return absl::OkStatus();
  }

 private:
  bool InRange(EventId event_id) const {
    return event_id.value >= options_.from.value_or(0) &&
           event_id.value <= options_.to.value_or(UINT64_MAX);
  }

  absl::Status OnEntry(const BlockHeader& block, const Entry& entry) {
    if (!options_.from && !options_.to) return PrintEntry(block, entry);
    if (options_.to && block.index > 0 && block.first.value > *options_.to) {
      return absl::CancelledError("far enough");
    }
    if (const auto* admitted = std::get_if<entry::InputAdmitted>(&entry)) {
      inputs_.push_back(*admitted);
      return absl::OkStatus();
    }
    if (std::holds_alternative<entry::RoundOpened>(entry)) inputs_.clear();
    const auto ticket = TicketOf(entry);
    if (!ticket || !InRange(*ticket)) return absl::OkStatus();
    if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
      REENACT_RETURN_IF_ERROR(PrintInput(block, step->cause.input));
    }
    return PrintEntry(block, entry);
  }

  // The input that caused a step, if it was admitted in the step's round.
  absl::Status PrintInput(const BlockHeader& block, InputId input) {
    for (const entry::InputAdmitted& admitted : inputs_) {
      if (input.value == 0 || admitted.input != input) continue;
      return PrintEntry(block, Entry(admitted));
    }
    return absl::OkStatus();
  }

  absl::Status PrintEntry(const BlockHeader& block, const Entry& entry) const {
    if (!kinds_.empty() && kinds_.count(KindOf(entry)) == 0) {
      return absl::OkStatus();
    }
    const bool printed =
        PrintLine(options_.json ? Dump(EntryJson(block.index, entry, *name_of_))
                                : EntryLine(entry, *name_of_));
    return printed ? absl::OkStatus() : WriteFailed();
  }

  const LogOptions& options_;
  const std::set<EntryKind> kinds_;
  const Archive* archive_ = nullptr;
  const NameOf* name_of_ = nullptr;
  std::vector<entry::InputAdmitted> inputs_;  // of the round so far
};

absl::StatusOr<std::set<EntryKind>> ParseKinds(
    const std::vector<std::string>& names) {
  std::set<EntryKind> kinds;
  for (const std::string& list : names) {
    for (const auto& name : absl::StrSplit(list, ',')) {
      const auto kind = FindEntryKind(ToStd(name));
      if (!kind) {
        return absl::InvalidArgumentError(absl::StrCat(
            "no kind of entry \"", name, "\": there are ", EntryKindNames()));
      }
      kinds.insert(*kind);
    }
  }
  return kinds;
}

// Prints what has come since, about twice a second, until a signal ends it or
// nobody reads any more.
absl::Status Follow(const LogOptions& options, EntryPrinter* printer,
                    std::uint64_t next_block) {
  while (true) {
    if (!FlushOutput()) return WriteFailed();
    std::this_thread::sleep_for(kFollowEvery);
    REENACT_ASSIGN_OR_RETURN(const auto archive, Archive::Open(options.world));
    REENACT_RETURN_IF_ERROR(printer->PrintFrom(*archive, &next_block));
  }
}

ExitCode RunLog(const LogOptions& options) {
  if (options.from && options.to && *options.from > *options.to) {
    return Complain(ExitCode::kUsage,
                    absl::StrCat("--from ", *options.from, " --to ",
                                 *options.to, ": there is nothing between"));
  }
  auto kinds = ParseKinds(options.kinds);
  if (!kinds.ok()) return Complain(kinds.status());
  auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  std::uint64_t next_block = 0;
  if (options.from && *options.from > 0) {
    const auto block = (*archive)->FindBlock(EventId{*options.from});
    if (!block.ok() && !options.follow) {
      return Complain(ExitCode::kUsage, ToStd(block.status().message()));
    }
    next_block = block.ok() ? *block : (*archive)->block_count();
  }
  EntryPrinter printer(options, *std::move(kinds));
  absl::Status status = printer.PrintFrom(**archive, &next_block);
  archive->reset();
  if (status.ok() && options.follow) {
    status = Follow(options, &printer, next_block);
  }
  return EndOfOutput(status);
}

struct ExportOptions {
  std::string world;
  std::string format = "cborseq";
};

ExitCode RunExport(const ExportOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const NameOf name_of = [&](ReducerId id) {
    return (*archive)->ReducerName(id);
  };
  const bool json = options.format == "jsonl";
  return EndOfOutput((*archive)->ScanEntries(
      0, [&](const BlockHeader& block, const Entry& entry, BytesView bytes) {
        const bool printed =
            json ? PrintLine(Dump(EntryJson(block.index, entry, name_of)))
                 : Print(bytes);
        return printed ? absl::OkStatus() : WriteFailed();
      }));
}

}  // namespace

void AddLogCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<LogOptions>();
  CLI::App* log = app.add_subcommand("log", kLogHelp);
  log->footer(absl::StrCat(
      "Examples:\n"
      "  reenact log w --from 7 --to 9\n"
      "  reenact log w --kind StepFailed --json\n"
      "  reenact log w --follow\n\nKinds: ",
      EntryKindNames(),
      "\n\nJSON: what JSON lacks is {\"$bytes\": hex}, {\"$map\": pairs} and "
      "so on.\n"
      "Exit codes: 0; 2 beyond the head; 3 damaged world, after what is "
      "whole;\n6 newer format; 8 no world there; 9 output closed."));
  log->add_option("DIR", options->world, "The world's directory")->required();
  log->add_option("--from", options->from, "First event_id");
  log->add_option("--to", options->to, "Last event_id");
  log->add_option("--kind", options->kinds,
                  "Only entries of this kind; may be repeated")
      ->allow_extra_args(false);
  log->add_flag("--follow", options->follow,
                "Go on with what comes, until Ctrl-C");
  log->add_flag("--json", options->json, "JSON lines");
  log->callback(
      [options, action] { *action = [options] { return RunLog(*options); }; });
}

void AddExportCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand("export", kExportHelp);
  command->footer(
      "Examples:\n"
      "  reenact export w > journal.cborseq\n"
      "  reenact export w --format jsonl | jq 'select(.kind==\"StepFailed\")'\n"
      "\nExit codes: 0; 3 damaged world, after what is whole; 6 newer format;\n"
      "8 no world there; 9 output closed.");
  command->add_option("DIR", options->world, "The world's directory")
      ->required();
  command->add_option("-f,--format", options->format, "cborseq or jsonl")
      ->check(CLI::IsMember({"cborseq", "jsonl"}))
      ->capture_default_str();
  command->callback([options, action] {
    *action = [options] { return RunExport(*options); };
  });
}

}  // namespace reenact::tools
