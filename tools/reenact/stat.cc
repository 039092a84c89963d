// `reenact stat`: what a world consists of.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/snapshot_file.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"
#include "tools/reenact/render.h"
#include "tools/reenact/terminal.h"

namespace reenact::tools {
namespace {

constexpr const char* kStatHelp =
    "Counts what is in a world: sizes, entries by kind, steps by outcome, "
    "failures by code, the cells with most steps, snapshots, and the store's "
    "own figures. Reads the whole journal.";

constexpr std::size_t kHottest = 10;
// Beyond so many cells, those with fewest steps are forgotten now and then.
constexpr std::size_t kCountedCellsMax = 1 << 20;

// Counts steps per cell in bounded memory. A cell with more than its share of
// the steps is never forgotten for good, but may then be counted too low.
class HotCells {
 public:
  void Add(const CellRef& cell) {
    ++counts_[{cell.reducer, cell.key}];
    if (counts_.size() > kCountedCellsMax) Forget();
  }

  bool exact() const { return exact_; }

  std::vector<std::pair<CellRef, std::uint64_t>> Hottest() const {
    std::vector<std::pair<CellRef, std::uint64_t>> cells;
    for (const auto& [cell, count] : counts_) {
      cells.push_back({CellRef{cell.first, cell.second}, count});
    }
    const auto hotter = [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    };
    const std::size_t size = std::min(cells.size(), kHottest);
    std::partial_sort(cells.begin(),
                      cells.begin() + static_cast<std::ptrdiff_t>(size),
                      cells.end(), hotter);
    cells.resize(size);
    return cells;
  }

 private:
  void Forget() {
    exact_ = false;
    for (std::uint64_t low = 1; counts_.size() > kCountedCellsMax / 2;
         low *= 2) {
      absl::erase_if(counts_,
                     [low](const auto& cell) { return cell.second <= low; });
    }
  }

  absl::flat_hash_map<std::pair<ReducerId, std::string>, std::uint64_t> counts_;
  bool exact_ = true;
};

struct Counts {
  std::map<EntryKind, std::uint64_t> entries;
  std::map<FailureCode, std::uint64_t> failures;
  std::map<UnitKind, std::uint64_t> units;
  std::uint64_t entry_bytes = 0;
  HotCells hot;
};

absl::StatusOr<Counts> CountEntries(const Archive& archive) {
  Counts counts;
  REENACT_RETURN_IF_ERROR(archive.ScanEntries(
      0, [&](const BlockHeader&, const Entry& entry, BytesView bytes) {
        ++counts.entries[KindOf(entry)];
        counts.entry_bytes += bytes.size();
        if (const auto* failed = std::get_if<entry::StepFailed>(&entry)) {
          ++counts.failures[failed->code];
        }
        if (const auto* step = std::get_if<entry::StepScheduled>(&entry)) {
          ++counts.units[step->kind];
          if (step->subject) counts.hot.Add(*step->subject);
        }
        return absl::OkStatus();
      }));
  return counts;
}

std::uint64_t DiskBytes(const std::string& directory) {
  namespace fs = std::filesystem;
  std::uint64_t bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator files(directory, error), end;
  // A process at work may remove files while we look.
  while (!error && files != end) {
    std::error_code ignored;
    const std::uint64_t size = files->is_regular_file(ignored)
                                   ? files->file_size(ignored)
                                   : std::uint64_t{0};
    if (!ignored) bytes += size;
    files.increment(error);
  }
  return bytes;
}

// The state's size per reducer.
struct CellCounts {
  std::uint64_t cells = 0;
  std::uint64_t bytes = 0;
};

absl::StatusOr<std::map<ReducerId, CellCounts>> CountCells(
    const Archive& archive) {
  std::map<ReducerId, CellCounts> counts;
  REENACT_RETURN_IF_ERROR(archive.ScanStateAt(
      {}, {}, [&](ReducerId reducer, std::string_view key, BytesView state) {
        CellCounts& of = counts[reducer];
        ++of.cells;
        of.bytes += key.size() + state.size();
        return absl::OkStatus();
      }));
  return counts;
}

absl::StatusOr<Json> Describe(const std::string& path, const Archive& archive) {
  REENACT_ASSIGN_OR_RETURN(const Counts counts, CountEntries(archive));
  REENACT_ASSIGN_OR_RETURN(const auto cells, CountCells(archive));
  Json json;
  json["world"] = path;
  json["format"] = archive.config().format_version;
  json["head"] = archive.head().value;
  json["journal"] = archive.journal_digest().ToHex();
  json["blocks"] = archive.block_count();
  json["entry_bytes"] = counts.entry_bytes;
  json["disk_bytes"] = DiskBytes(path);
  json["modules"] = Json::array();
  for (const ModuleRecord& module : archive.config().modules) {
    json["modules"].push_back({{"name", module.name},
                               {"version", module.version},
                               {"digest", module.digest.ToHex()}});
  }
  json["entries"] = Json::object();
  for (const auto& [kind, count] : counts.entries) {
    json["entries"][std::string(EntryKindName(kind))] = count;
  }
  json["units"] = Json::object();
  for (const auto& [kind, count] : counts.units) {
    json["units"][std::string(UnitKindName(kind))] = count;
  }
  json["failures"] = Json::object();
  for (const auto& [code, count] : counts.failures) {
    json["failures"][FailureName(code)] = count;
  }
  json["cells"] = Json::object();
  for (const auto& [reducer, count] : cells) {
    json["cells"][archive.ReducerName(reducer)] = {{"cells", count.cells},
                                                   {"bytes", count.bytes}};
  }
  json["hottest"] = Json::array();
  for (const auto& [cell, steps] : counts.hot.Hottest()) {
    json["hottest"].push_back(
        {{"cell", CellName(archive.ReducerName(cell.reducer), cell.key)},
         {"steps", steps}});
  }
  json["hottest_exact"] = counts.hot.exact();
  json["snapshots"] = Json::array();
  REENACT_ASSIGN_OR_RETURN(const auto snapshots,
                           ListSnapshots(archive.paths().snapshots));
  for (const EventId snapshot : snapshots) {
    std::error_code ignored;
    const auto size =
        std::filesystem::file_size(archive.paths().Snapshot(snapshot), ignored);
    json["snapshots"].push_back(
        {{"event_id", snapshot.value}, {"bytes", ignored ? 0 : size}});
  }
  json["store"] = Json::object();
  for (const auto& [name, value] : archive.store().Stats()) {
    json["store"][name] = value;
  }
  return json;
}

std::string Number(const Json& json) {
  return WithCommas(json.get<std::uint64_t>());
}

void AppendCounts(std::string_view title, const Json& counts,
                  std::string* text) {
  if (counts.empty()) return;
  absl::StrAppend(text, ToAbsl(title), "\n");
  for (const auto& [name, count] : counts.items()) {
    const std::size_t width = std::max<std::size_t>(name.size() + 1, 28);
    absl::StrAppend(text, "  ", name, std::string(width - name.size(), ' '),
                    Number(count), "\n");
  }
}

std::string StatText(const Json& json) {
  std::string text = absl::StrCat(
      json["world"].get<std::string>(), ": head ", Number(json["head"]), ", ",
      Number(json["blocks"]), " blocks, ",
      SizeText(json["entry_bytes"].get<std::uint64_t>()), " of entries, ",
      SizeText(json["disk_bytes"].get<std::uint64_t>()), " on disk\n");
  for (const Json& module : json["modules"]) {
    absl::StrAppend(&text, "module ", module["name"].get<std::string>(), " ",
                    module["version"].get<std::string>(), " ",
                    module["digest"].get<std::string>(), "\n");
  }
  AppendCounts("entries", json["entries"], &text);
  AppendCounts("steps", json["units"], &text);
  AppendCounts("failures", json["failures"], &text);
  Json cells = Json::object();
  for (const auto& [name, count] : json["cells"].items()) {
    cells[name] = count["cells"];
  }
  AppendCounts("cells", cells, &text);
  Json hottest = Json::object();
  for (const Json& cell : json["hottest"]) {
    hottest[Dump(cell["cell"])] = cell["steps"];
  }
  AppendCounts(json["hottest_exact"].get<bool>()
                   ? "hottest cells, in steps"
                   : "hottest cells, in steps (approximately)",
               hottest, &text);
  if (!json["snapshots"].empty()) absl::StrAppend(&text, "snapshots\n");
  for (const Json& snapshot : json["snapshots"]) {
    absl::StrAppend(&text, "  after event ", Number(snapshot["event_id"]), ", ",
                    SizeText(snapshot["bytes"].get<std::uint64_t>()), "\n");
  }
  AppendCounts("store", json["store"], &text);
  return text;
}

struct StatOptions {
  std::string world;
  bool json = false;
};

ExitCode RunStat(const StatOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const auto json = Describe(options.world, **archive);
  if (!json.ok()) return Complain(json.status());
  Print(options.json ? Dump(*json) + "\n" : StatText(*json));
  return ExitCode::kOk;
}

}  // namespace

void AddStatCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<StatOptions>();
  CLI::App* stat = app.add_subcommand("stat", kStatHelp);
  stat->footer(
      "Example:\n"
      "  reenact stat w --json | jq .failures\n\n"
      "Exit codes: 0; 3 damaged world; 6 newer format; 8 no world there.");
  stat->add_option("DIR", options->world, "The world's directory")->required();
  stat->add_flag("--json", options->json, "One JSON object");
  stat->callback(
      [options, action] { *action = [options] { return RunStat(*options); }; });
}

}  // namespace reenact::tools
