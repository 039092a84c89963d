// `reenact digest`: a world in three numbers.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "reenact/journal/archive.h"
#include "tools/reenact/commands.h"
#include "tools/reenact/common.h"
#include "tools/reenact/json.h"

namespace reenact::tools {
namespace {

constexpr const char* kDigestHelp =
    "Prints the head (the last event_id), the digest of the journal (the end "
    "of its chain of blocks) and the digest of the state (of all cells).\n"
    "\n"
    "Two worlds with the same history have the same journal digest; two with "
    "the same cells have the same state digest, whatever led there.";

struct DigestOptions {
  std::string world;
  bool json = false;
};

ExitCode RunDigest(const DigestOptions& options) {
  const auto archive = Archive::Open(options.world);
  if (!archive.ok()) return Complain(archive.status());
  const auto state = (*archive)->StateDigest();
  if (!state.ok()) return Complain(state.status());
  const std::uint64_t head = (*archive)->head().value;
  const std::string journal = (*archive)->journal_digest().ToHex();
  if (options.json) {
    const Json json = {
        {"head", head}, {"journal", journal}, {"state", state->ToHex()}};
    PrintLine(Dump(json));
  } else {
    Print(absl::StrCat("head     ", head, "\njournal  ", journal, "\nstate    ",
                       state->ToHex(), "\n"));
  }
  return ExitCode::kOk;
}

}  // namespace

void AddDigestCommand(CLI::App& app, Action* action) {
  auto options = std::make_shared<DigestOptions>();
  CLI::App* digest = app.add_subcommand("digest", kDigestHelp);
  digest->footer(
      "Example:\n"
      "  reenact digest w --json\n"
      "  {\"head\":3,\"journal\":\"<64 hex digits>\",\"state\":\"<64 hex "
      "digits>\"}\n\n"
      "Exit codes: 0; 3 damaged world; 6 newer format; 8 no world there.");
  digest->add_option("DIR", options->world, "The world's directory")
      ->required();
  digest->add_flag("--json", options->json, "One JSON object");
  digest->callback([options, action] {
    *action = [options] { return RunDigest(*options); };
  });
}

}  // namespace reenact::tools
