// `reenact state`: cells, now or as of any ticket.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "reenact/kernel/cbor/cbor.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"
#include "tools/reenact/render.h"

namespace reenact::tools {
namespace {

constexpr const char* kStateHelp =
    "Prints the state of a cell, of all cells of a reducer, or of all cells, "
    "in CBOR diagnostic notation; now, or as it was right after a ticket.\n"
    "\n"
    "Past states come from the nearest snapshot and the recorded changes; no "
    "reducer runs and no module is needed.";

struct StateOptions {
  std::string world;
  std::string reducer;
  std::string key;
  bool one_cell = false;
  std::optional<std::uint64_t> at;
  bool json = false;
};

class StateCommand {
 public:
  StateCommand(const StateOptions& options, const Archive& archive)
      : options_(options), archive_(archive) {
    if (options.at) at_ = EventId{*options.at};
  }

  ExitCode Run() {
    std::optional<ReducerId> reducer;
    if (!options_.reducer.empty()) {
      reducer = archive_.FindReducer(options_.reducer);
      if (!reducer) {
        return Complain(ExitCode::kFailed,
                        absl::StrCat(options_.world, ": no reducer \"",
                                     options_.reducer, "\""));
      }
    }
    return options_.one_cell ? PrintOne(*reducer) : PrintAll(reducer);
  }

 private:
  ExitCode PrintOne(ReducerId reducer) {
    const auto state = archive_.StateAt(reducer, options_.key, at_);
    if (!state.ok()) return Complain(state.status());
    if (!*state) {
      return Complain(ExitCode::kFailed,
                      absl::StrCat(options_.world, ": no cell ",
                                   CellName(options_.reducer, options_.key)));
    }
    PrintLine(options_.json ? Dump(ToJson(**state)) : cbor::Diagnose(**state));
    return ExitCode::kOk;
  }

  ExitCode PrintAll(std::optional<ReducerId> reducer) {
    bool printed = true;
    const absl::Status status = archive_.ScanStateAt(
        reducer, at_, [&](ReducerId of, std::string_view key, BytesView state) {
          printed = PrintCell(archive_.ReducerName(of), key, state);
          return printed ? absl::OkStatus() : absl::CancelledError("closed");
        });
    if (!status.ok()) return Complain(status);
    return printed ? ExitCode::kOk : Complain(OutputError());
  }

  bool PrintCell(const std::string& reducer, std::string_view key,
                 BytesView state) const {
    if (options_.json) {
      Json json;
      json["reducer"] = reducer;
      json["key"] = key;
      json["state"] = ToJson(state);
      return PrintLine(Dump(json));
    }
    return PrintLine(
        absl::StrCat(Dump(CellName(reducer, key)), " ", cbor::Diagnose(state)));
  }

  const StateOptions& options_;
  const Archive& archive_;
  std::optional<EventId> at_;
};

ExitCode RunState(const StateOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  return StateCommand(options, **archive).Run();
}

}  // namespace

void AddStateCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<StateOptions>();
  CLI::App* state = app.add_subcommand("state", kStateHelp);
  state->footer(
      "Examples:\n"
      "  reenact state w                    every cell: \"reducer/key\" state\n"
      "  reenact state w counter            the cells of one reducer\n"
      "  reenact state w counter home       the state alone\n"
      "  reenact state w counter home --at 7 --json\n"
      "\n"
      "Exit codes: 0; 1 no such reducer or cell; 2 --at beyond the head;\n"
      "3 damaged world; 6 newer format; 8 no world there.");
  state->add_option("DIR", options->world, "The world's directory")->required();
  state->add_option("REDUCER", options->reducer, "Only cells of this reducer");
  CLI::Option* key =
      state->add_option("KEY", options->key, "Only the cell with this key");
  state->add_option("--at", options->at,
                    "As it was right after this event_id [the head]");
  state->add_flag("--json", options->json,
                  "JSON: the state of one cell, or an object per line");
  state->callback([options, action, key] {
    options->one_cell = key->count() > 0;
    *action = [options] { return RunState(*options); };
  });
}

}  // namespace reenact::tools
