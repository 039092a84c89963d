// `reenact grant` and `reenact budget`: who may spend what, and what was spent.

#include "reenact/kernel/authority/grants.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/effect_table.h"
#include "tools/reenact/input_file.h"
#include "tools/reenact/json.h"
#include "tools/reenact/live_world.h"
#include "tools/reenact/render.h"

namespace reenact::tools {
namespace {

constexpr std::size_t kGrantFileBytesMax = 4 << 20;

// --- grant -------------------------------------------------------------------

struct GrantOptions {
  LiveWorldOptions live;
  std::string file;
  std::string name;
  std::vector<std::string> amounts;
};

// "calls=10" and so on.
absl::StatusOr<Amounts> ParseAmounts(const std::vector<std::string>& texts) {
  Amounts amounts;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    std::uint64_t value = 0;
    if (equals == 0 || equals == std::string::npos ||
        !absl::SimpleAtoi(text.substr(equals + 1), &value) || value == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" is not DIMENSION=NUMBER, from 1 up"));
    }
    const std::string dimension = text.substr(0, equals);
    if (amounts.Of(dimension) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", dimension, "\" is there twice"));
    }
    amounts.Set(dimension, value);
  }
  return amounts;
}

absl::StatusOr<Grant> ReadGrant(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const Bytes text,
                           InputFile::ReadAll(path, kGrantFileBytesMax));
  const auto document = ParseJson(text);
  if (!document.ok()) return Annotate(document.status(), path);
  auto grant = ParseGrant(*document);
  if (!grant.ok()) return Annotate(grant.status(), path);
  return grant;
}

ExitCode ChangeFromFile(const GrantOptions& options, GrantChange::Op op) {
  GrantChange change;
  change.op = op;
  auto grant = ReadGrant(options.file);
  if (absl::IsInvalidArgument(grant.status())) {
    return Complain(ExitCode::kBadInput, ToStd(grant.status().message()));
  }
  if (!grant.ok()) return Complain(grant.status());
  change.grant = *std::move(grant);
  return TellWorld(options.live, [&change](World& world) {
    return world.ChangeGrant(change);
  });
}

ExitCode ChangeByName(const GrantOptions& options, GrantChange::Op op) {
  GrantChange change;
  change.op = op;
  change.grant.name = options.name;
  const auto amounts = ParseAmounts(options.amounts);
  if (!amounts.ok())
    return Complain(ExitCode::kUsage, ToStd(amounts.status().message()));
  change.grant.limit = *amounts;
  return TellWorld(options.live, [&change](World& world) {
    return world.ChangeGrant(change);
  });
}

// One of the ways to change a grant.
struct Way {
  const char* name;
  GrantChange::Op op;
  const char* help;
};

void AddFromFile(CLI::App& grant, Action* action, const Way& way) {
  auto options = std::make_shared<GrantOptions>();
  CLI::App* const command = grant.add_subcommand(way.name, way.help);
  command->footer(kLiveWorldExitCodes);
  AddLiveWorldOptions(*command, &options->live, false);
  command->add_option("FILE", options->file, "The grant, a JSON object")
      ->required();
  command->callback([options, action, op = way.op] {
    *action = [options, op] { return ChangeFromFile(*options, op); };
  });
}

void AddByName(CLI::App& grant, Action* action, const Way& way) {
  auto options = std::make_shared<GrantOptions>();
  CLI::App* const command = grant.add_subcommand(way.name, way.help);
  command->footer(kLiveWorldExitCodes);
  AddLiveWorldOptions(*command, &options->live, false);
  command->add_option("NAME", options->name, "The grant")->required();
  if (way.op != GrantChange::Op::kRevoke) {
    command->add_option("DIMENSION=NUMBER", options->amounts, "How much")
        ->required();
  }
  command->callback([options, action, op = way.op] {
    *action = [options, op] { return ChangeByName(*options, op); };
  });
}

// --- budget ------------------------------------------------------------------

struct BudgetOptions {
  std::string world;
  std::string name;
  bool json = false;
};

Json AccountJson(const Grants::Account& account) {
  Json json;
  json["grant"] = account.grant.name;
  if (!account.grant.parent.empty()) json["parent"] = account.grant.parent;
  if (!account.grant.kinds.empty()) json["kinds"] = account.grant.kinds;
  for (const Predicate& predicate : account.grant.where) {
    json["where"].push_back(ToString(predicate));
  }
  if (account.grant.expires) json["expires"] = account.grant.expires->value;
  if (account.revoked) json["revoked"] = true;
  json["limit"] = AmountsJson(account.grant.limit);
  json["free"] = AmountsJson(account.free);
  json["reserved"] = AmountsJson(account.reserved);
  json["spent"] = AmountsJson(account.spent);
  if (!account.split.empty()) json["split"] = AmountsJson(account.split);
  if (!account.overrun.empty()) json["overrun"] = AmountsJson(account.overrun);
  return json;
}

std::string AccountText(const Grants::Account& account) {
  const Grant& grant = account.grant;
  std::string text = grant.name;
  if (!grant.parent.empty()) absl::StrAppend(&text, " of ", grant.parent);
  if (account.revoked) absl::StrAppend(&text, " (revoked)");
  if (grant.expires) {
    absl::StrAppend(&text, " until ", grant.expires->value);
  }
  if (!grant.kinds.empty()) {
    absl::StrAppend(&text, " for ", absl::StrJoin(grant.kinds, ", "));
  }
  for (const Predicate& predicate : grant.where) {
    absl::StrAppend(&text, "; ", ToString(predicate));
  }
  const auto line = [&text](std::string_view name, const Amounts& amounts) {
    if (amounts.empty()) return;
    absl::StrAppend(&text, "\n  ", ToAbsl(name),
                    std::string(10 - name.size(), ' '), amounts.ToString());
  };
  line("limit", grant.limit);
  line("free", account.free);
  line("reserved", account.reserved);
  line("spent", account.spent);
  line("split off", account.split);
  line("overrun", account.overrun);
  return text;
}

ExitCode RunBudget(const BudgetOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const auto table = EffectTable::Read(**archive);
  if (!table.ok()) return Complain(table.status());
  const auto& accounts = table->grants().accounts();
  if (!options.name.empty() && accounts.count(options.name) == 0) {
    return Complain(
        ExitCode::kFailed,
        absl::StrCat(options.world, ": no grant \"", options.name, "\""));
  }
  for (const auto& [name, account] : accounts) {
    if (!options.name.empty() && name != options.name) continue;
    if (!PrintLine(options.json ? Dump(AccountJson(account))
                                : AccountText(account))) {
      return Complain(OutputError());
    }
  }
  return ExitCode::kOk;
}

}  // namespace

void AddGrantCommand(CLI::App& app, Action* action) {
  CLI::App* const grant = app.add_subcommand(
      "grant",
      "Changes who may have which effects and what they may spend.\n\n"
      "A change is on record, with a ticket of its own: every later ticket "
      "obeys it, none before.");
  grant->footer(
      "A grant is a JSON object; only the name has to be there:\n"
      "  {\"name\": \"crawler\", \"parent\": \"all\",\n"
      "   \"kinds\": [\"http.request\"],\n"
      "   \"where\": [{\"path\": \"url\", \"host\": \"*.example.com\"}],\n"
      "   \"expires\": 1000, \"limit\": {\"calls\": 100, \"bytes\": 1000000}}\n"
      "\n"
      "Examples:\n"
      "  reenact grant create w crawler.json --module shop\n"
      "  reenact grant add w crawler calls=50 --module shop\n"
      "  reenact grant revoke w crawler --module shop\n");
  grant->require_subcommand(1);
  using Op = GrantChange::Op;
  AddFromFile(*grant, action,
              {"create", Op::kCreate,
               "Makes a grant; with a parent, out of what that has free"});
  AddFromFile(*grant, action,
              {"amend", Op::kAmend,
               "Gives it the kinds, conditions and expiry of FILE"});
  AddByName(*grant, action,
            {"add", Op::kAdd,
             "Adds to its limit, from its parent if it has "
             "one"});
  AddByName(*grant, action,
            {"take", Op::kTake, "Takes from its limit what is free"});
  AddByName(*grant, action,
            {"revoke", Op::kRevoke,
             "Ends it and those split from it; what is free goes back"});
}

void AddBudgetCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<BudgetOptions>();
  CLI::App* const budget = app.add_subcommand(
      "budget",
      "Shows each grant with its limit and where that went: free, reserved for "
      "open effects, spent, split off to other grants, overrun.\n\n"
      "Reads the journal; the world may be running.");
  budget->footer(
      "Examples:\n"
      "  reenact budget w\n"
      "  reenact budget w crawler --json\n"
      "\n"
      "Exit codes: 0; 1 no such grant; 3 damaged world; 6 newer format; 8 no "
      "world\nthere.");
  budget->add_option("DIR", options->world, "The world's directory")
      ->required();
  budget->add_option("NAME", options->name, "Only this grant");
  budget->add_flag("--json", options->json, "An object per line");
  budget->callback([options, action] {
    *action = [options] { return RunBudget(*options); };
  });
}

}  // namespace reenact::tools
