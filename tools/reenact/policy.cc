// `reenact policy`: what a policy says, and what it would make of an effect.

#include "reenact/kernel/authority/policy.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/effect_table.h"
#include "tools/reenact/json.h"
#include "tools/reenact/key_file.h"
#include "tools/reenact/live_world.h"
#include "tools/reenact/policy_file.h"

namespace reenact::tools {
namespace {

constexpr const char* kPolicyHelp =
    "Policies: ordered rules that say which effects a world lets out, which it "
    "does not, and which somebody has to approve.\n"
    "\n"
    "A policy is a JSON file, with comments if you like:\n"
    "  { \"version\": 1,\n"
    "    \"rules\": [\n"
    "      { \"name\": \"inside\", \"kind\": \"http.request\", \"then\": "
    "\"deny\",\n"
    "        \"where\": [{\"path\": \"url\", \"host\": \"*.internal\"}] },\n"
    "      { \"name\": \"slowly\", \"kind\": \"http.*\",\n"
    "        \"rate\": {\"count\": 10, \"per\": 60000000} },\n"
    "      { \"name\": \"dear\", \"reserve\": {\"cents\": 500}, \"then\": "
    "\"ask\" },\n"
    "      { \"name\": \"rest\", \"kind\": \"http.request\", \"then\": "
    "\"allow\" } ],\n"
    "    \"otherwise\": \"deny\" }\n"
    "\n"
    "The first rule that matches and has a \"then\" decides; one with a "
    "\"rate\" denies while no token is left, and else goes on. What no rule "
    "decides, \"otherwise\" does. spec/authority.md has the whole grammar.";

constexpr const char* kExitCodes =
    "Exit codes: 0; 2 usage; 7 no policy, and the message names the place; 9 "
    "it\n"
    "cannot be read, or is not there.";

// A policy that makes no sense is bad input, not a bad command line.
ExitCode ComplainOfFile(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return Complain(status);
  return Complain(ExitCode::kBadInput, ToStd(status.message()));
}

// --- check -------------------------------------------------------------------

struct CheckOptions {
  std::string file;
  bool json = false;
};

ExitCode RunCheck(const CheckOptions& options) {
  const auto policy = ReadPolicyFile(options.file);
  if (!policy.ok()) return ComplainOfFile(policy.status());
  const std::string words = policy->Explain(nullptr, {}, {});
  const std::string digest = policy->digest().ToHex();
  if (options.json) {
    Json json;
    json["digest"] = digest;
    json["bytes"] = policy->content().size();
    json["words"] = words;
    PrintLine(Dump(json));
  } else {
    Print(absl::StrCat("digest ", digest, "\n", words));
  }
  return ExitCode::kOk;
}

void AddCheck(CLI::App& policy, Action* action) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* check = policy.add_subcommand(
      "check",
      "Checks a policy, and prints its digest and what it says in words.");
  check->footer(absl::StrCat(
      "Example:\n"
      "  reenact policy check policy.json\n"
      "  digest <64 hex digits>\n"
      "  0 \"inside\": deny kind \"http.request\" where url host *.internal\n"
      "  otherwise: deny\n"
      "\n"
      "The digest is BLAKE2b-256 of the policy in canonical CBOR: what worlds\n"
      "record. Comments, spaces and the order of members do not count.\n"
      "\n",
      kExitCodes));
  check->add_option("FILE", options->file, "The policy; - is standard input")
      ->required();
  check->add_flag("--json", options->json, "One JSON object");
  check->callback([options, action] {
    *action = [options] { return RunCheck(*options); };
  });
}

// --- explain -----------------------------------------------------------------

struct ExplainOptions {
  std::string file;
  std::string kind;
  std::string capability;
  std::string cell;
  std::string params = "{}";
  std::vector<std::string> reserve;
  std::int64_t time = 0;
  bool json = false;
};

// "calls=3"
absl::Status AddAmount(const std::string& text, Amounts* amounts) {
  const std::size_t equals = text.rfind('=');
  const std::string dimension = text.substr(0, equals);
  std::uint64_t value = 0;
  if (equals == text.npos || !IsDimension(dimension) ||
      !absl::SimpleAtoi(text.substr(equals + 1), &value)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--reserve ", Dump(text), ": should be DIMENSION=AMOUNT"));
  }
  if (amounts->Of(dimension) > 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--reserve ", Dump(text), ": the second of its dimension"));
  }
  amounts->Set(dimension, value);
  return absl::OkStatus();
}

// The effect that the command line describes; owns what its facts point to.
struct Effect {
  std::string kind, capability, reducer, key;
  cbor::Value params;
  Amounts reserve;

  EffectFacts facts() const {
    return {kind, capability, reducer, key, &params, &reserve};
  }
};

absl::StatusOr<Effect> EffectOf(const ExplainOptions& options) {
  Effect effect;
  effect.kind = options.kind;
  effect.capability = options.capability;
  const std::size_t slash = options.cell.find('/');
  effect.reducer = options.cell.substr(0, slash);
  if (slash != options.cell.npos) effect.key = options.cell.substr(slash + 1);
  auto params = ParseJson(options.params);
  if (!params.ok()) return Annotate(params.status(), "--params");
  effect.params = *std::move(params);
  for (const std::string& amount : options.reserve) {
    REENACT_RETURN_IF_ERROR(AddAmount(amount, &effect.reserve));
  }
  return effect;
}

const char* VerdictWord(Policy::Verdict verdict) {
  switch (verdict) {
    case Policy::Verdict::kAllow:
      return "allow";
    case Policy::Verdict::kDeny:
      return "deny";
    case Policy::Verdict::kAsk:
      return "ask";
  }
  return "";
}

ExitCode RunExplain(const ExplainOptions& options) {
  const auto effect = EffectOf(options);
  if (!effect.ok()) return Complain(effect.status());
  const auto policy = ReadPolicyFile(options.file);
  if (!policy.ok()) return ComplainOfFile(policy.status());
  const EffectFacts facts = effect->facts();
  const LogicalTime now{options.time};
  const auto decision = policy->Decide(facts, now, {});
  const std::string words = policy->Explain(&facts, now, {});
  if (options.json) {
    Json json;
    json["verdict"] = VerdictWord(decision.verdict);
    json["rule"] = decision.rule;
    json["rates"] = decision.rates;
    json["digest"] = policy->digest().ToHex();
    json["words"] = words;
    PrintLine(Dump(json));
  } else {
    Print(absl::StrCat(VerdictWord(decision.verdict), ", by ",
                       Dump(decision.rule), "\n\n", words));
  }
  return ExitCode::kOk;
}

void AddExplain(CLI::App& policy, Action* action) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* explain = policy.add_subcommand(
      "explain",
      "Says what a policy would make of an effect, which rule decides, and why "
      "those before it did not. Buckets are full; grants are another matter: "
      "this asks the policy alone.");
  explain->footer(absl::StrCat(
      "Examples:\n"
      "  reenact policy explain policy.json --kind http.request \\\n"
      "    --capability crawler --cell spider/home \\\n"
      "    --params '{\"url\": \"http://db.internal/\"}' --reserve calls=1\n"
      "  deny, by \"inside\"\n"
      "  ...\n"
      "  reenact policy explain policy.json --kind blob.put --json\n"
      "\n"
      "An effect that is denied is no failure of this command: ask --json for\n"
      "the verdict. Times are logical: in microseconds, or rounds, as the\n"
      "world's clock counts.\n"
      "\n",
      kExitCodes));
  explain->add_option("FILE", options->file, "The policy; - is standard input")
      ->required();
  explain->add_option("--kind", options->kind, "Of the effect")->required();
  explain->add_option("--capability", options->capability,
                      "The grant that it is made under [none]");
  explain->add_option("--cell", options->cell,
                      "REDUCER/KEY of the cell that wants it [none]");
  explain->add_option("--params", options->params,
                      "Its parameters, in JSON [{}]");
  explain->add_option("--reserve", options->reserve,
                      "DIMENSION=AMOUNT that it reserves; may be repeated");
  explain->add_option("--time", options->time, "Logical time [0]");
  explain->add_flag("--json", options->json, "One JSON object");
  explain->callback([options, action] {
    *action = [options] { return RunExplain(*options); };
  });
}

}  // namespace

namespace {

// --- set, show ---------------------------------------------------------------

struct SetOptions {
  LiveWorldOptions live;
  std::string file;
  bool none = false;
};

ExitCode RunSet(const SetOptions& options) {
  if (options.none != options.file.empty()) {
    return Complain(ExitCode::kUsage, "name a FILE, or --none");
  }
  Bytes document = cbor::Value().Encode();
  if (!options.none) {
    const auto policy = ReadPolicyFile(options.file);
    if (!policy.ok()) return ComplainOfFile(policy.status());
    document = policy->content();
  }
  return TellWorld(options.live, [&document](World& world) {
    return world.SetPolicy(document);
  });
}

void AddSet(CLI::App& policy, Action* action) {
  auto options = std::make_shared<SetOptions>();
  CLI::App* const set = policy.add_subcommand(
      "set",
      "Gives a world a policy, on record with its content: every later ticket "
      "obeys it, none before.");
  set->footer(kLiveWorldExitCodes);
  AddLiveWorldOptions(*set, &options->live, false);
  set->add_option("FILE", options->file, "The policy; - is standard input");
  set->add_flag("--none", options->none, "No policy any more");
  set->callback(
      [options, action] { *action = [options] { return RunSet(*options); }; });
}

ExitCode RunShow(const std::string& world) {
  const auto archive = Archive::Open(world);
  if (!archive.ok()) return Complain(archive.status());
  const auto table = EffectTable::Read(**archive);
  if (!table.ok()) return Complain(table.status());
  if (table->policy().empty()) {
    return Complain(ExitCode::kFailed, world + ": it has no policy");
  }
  PrintLine(ToJson(table->policy()).dump(2));
  return ExitCode::kOk;
}

void AddShow(CLI::App& policy, Action* action) {
  auto world = std::make_shared<std::string>();
  CLI::App* const show = policy.add_subcommand(
      "show", "Prints the policy of a world, as JSON; it may be running.");
  show->footer(
      "Exit codes: 0; 1 it has none; 3 damaged world; 6 newer format; 8 no "
      "world there.");
  show->add_option("DIR", *world, "The world's directory")->required();
  show->callback(
      [world, action] { *action = [world] { return RunShow(*world); }; });
}

// --- key ---------------------------------------------------------------------

ExitCode RunKey(const std::string& file) {
  const absl::Status made = MakeKeyFile(file);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return Complain(made);
  const auto key = ReadKeyFile(file);
  if (!key.ok()) return ComplainOfFile(key.status());
  PrintLine(PublicKeyText(*key));
  return ExitCode::kOk;
}

void AddKey(CLI::App& policy, Action* action) {
  auto file = std::make_shared<std::string>();
  CLI::App* const key = policy.add_subcommand(
      "key",
      "Prints the public key of a key file, for a policy's \"executors\"; "
      "makes the file, with a new key, if there is none.");
  key->footer(
      "Example:\n"
      "  reenact policy key executors.key\n"
      "  <64 hex digits>\n"
      "  reenact run --module shop --world w --with-executors \\\n"
      "    --executor-key executors.key\n"
      "\n"
      "with {\"executors\": {\"http.request\": {\"key\": \"<64 hex "
      "digits>\"}}} in\n"
      "the policy: then receipts of http.request count only if they are "
      "signed with\n"
      "it. The file is a line of 64 hexadecimal digits, the private key of "
      "RFC 8032.\n"
      "\n"
      "Exit codes: 0; 2 usage; 7 no key file; 8 others may read it; 9 it "
      "cannot be\n"
      "read or made.");
  key->add_option("FILE", *file, "The key file")->required();
  key->callback([file, action] { *action = [file] { return RunKey(*file); }; });
}

}  // namespace

void AddPolicyCommand(CLI::App& app, Action* action) {
  CLI::App* policy = app.add_subcommand("policy", kPolicyHelp);
  policy->footer(absl::StrCat(
      "Examples:\n"
      "  reenact policy check policy.json\n"
      "  reenact policy explain policy.json --kind http.request \\\n"
      "    --params '{\"url\": \"http://db.internal/\"}'\n"
      "  reenact policy set w policy.json --module shop\n"
      "  reenact policy show w\n"
      "  reenact policy key executors.key\n"
      "\n",
      kExitCodes));
  policy->require_subcommand(1);
  AddCheck(*policy, action);
  AddExplain(*policy, action);
  AddSet(*policy, action);
  AddShow(*policy, action);
  AddKey(*policy, action);
}

}  // namespace reenact::tools
