// The command from outside: exit codes, messages, and what it promises about
// stopping and going on.

#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;

std::string TestModule(const std::string& name) {
  return REENACT_BINARY_DIR "/tests/modules/" + name + ".so";
}

// `count` clicks over seven counters, one per line.
std::string Clicks(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    lines += R"({"counter": "c)" + std::to_string(i % 7) + R"(", "add": )" +
             std::to_string(i % 5) + "}\n";
  }
  return lines;
}

// Deposits, then transfers between ten accounts, some beyond what is there.
std::string Transfers(const std::string& variant, int count) {
  std::string lines;
  const auto account = [](int i) { return "a" + std::to_string(i % 10); };
  for (int i = 0; i < 10; ++i) {
    lines += R"({"op": "open", "variant": ")" + variant + R"(", "account": ")" +
             account(i) + R"(", "amount": 100})" + "\n";
  }
  for (int i = 0; i < count; ++i) {
    lines += R"({"op": "transfer", "variant": ")" + variant +
             R"(", "account": ")" + account(i * 7) + R"(", "to": ")" +
             account(i * 3 + 1) + R"(", "amount": )" +
             std::to_string(i % 60 + 1) + "}\n";
  }
  return lines;
}

// A world that is fed from standard input.
struct World {
  explicit World(const std::string& name = "world") : path(directory / name) {}

  std::vector<std::string> RunArguments(
      const std::string& module, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"run", "--module", module, "--world",
                                          path,  "--events", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  CommandResult Run(const std::string& module, const std::string& input,
                    std::vector<std::string> more = {}) const {
    return RunReenact(RunArguments(module, std::move(more)), input);
  }
  CommandResult Ask(const std::string& command,
                    std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {command, path});
    return RunReenact(std::move(more));
  }
  // {"head": ..., "journal": ..., "state": ...}; says why if there is none.
  std::string Digest() const {
    const CommandResult result = Ask("digest", {"--json"});
    return result.code == 0 ? result.out : result.err;
  }

  TemporaryDirectory directory;
  std::string path;
};

// One line, which names the place.
void CheckComplaint(const CommandResult& result, int code,
                    const std::string& what) {
  INFO(result.err);
  CHECK(result.code == code);
  CHECK_THAT(result.err, StartsWith("reenact: ") && Contains(what));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
}

TEST_CASE("without a command, help is shown and the exit code is usage",
          "[tools][cli]") {
  const CommandResult result = RunReenact({});
  CHECK(result.code == 2);
  CHECK_THAT(result.err, Contains("verify") && Contains("Exit codes:"));
  CHECK(result.out.empty());
}

TEST_CASE("help teaches: what, an example, exit codes", "[tools][cli]") {
  CHECK_THAT(RunReenact({"--help"}).out,
             Contains("REENACT_MODULE_PATH") && Contains("Exit codes:"));
  CHECK_THAT(RunReenact({"--version"}).out, StartsWith("reenact 0."));
  for (const char* command :
       {"run", "verify", "digest", "log", "state", "why", "export", "stat"}) {
    const CommandResult help = RunReenact({command, "--help"});
    INFO(command);
    CHECK(help.code == 0);
    CHECK_THAT(help.out, Contains("Usage:") && Contains("Example") &&
                             Contains("Exit codes:") &&
                             Contains(std::string("reenact ") + command));
  }
}

TEST_CASE("a command line that makes no sense is a usage error",
          "[tools][cli]") {
  const std::vector<std::vector<std::string>> wrong = {
      {"dance"},
      {"run"},
      {"digest"},
      {"digest", "a", "b"},
      {"why", "w", "x"},
      {"run", "--module", "counter", "--world", "w", "--events", "x.what"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--reducer", "r"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--cache", "big"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--sync", "never"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--seed", "x"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--clock", "sun"},
      {"run", "-m", "counter", "-w", "w", "-e", "-", "--format", "xml"},
  };
  for (const auto& arguments : wrong) {
    const CommandResult result = RunReenact(arguments);
    CAPTURE(arguments, result.err);
    CHECK(result.code == 2);
    CHECK_FALSE(result.err.empty());
    CHECK_FALSE(std::filesystem::exists("w"));
  }
}

TEST_CASE("a run creates a world and says what happened", "[tools][cli]") {
  const World world;
  const CommandResult result = world.Run("counter", Clicks(100), {"--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const json report = json::parse(result.out);
  CHECK(report["created"] == true);
  CHECK(report["rows"] == 100);
  CHECK(report["tickets"] == 100);
  CHECK(report["committed"] == 100);
  CHECK(report["failed"] == 0);
  CHECK(report["head"] == 100);
  CHECK(report["peak_memory_bytes"] > 0);
  const json digest = json::parse(world.Digest());
  CHECK(digest["head"] == 100);
  CHECK(digest["journal"] == report["journal"]);

  const CommandResult text = World().Run("counter", Clicks(10));
  CHECK_THAT(text.out, Contains("committed") && Contains("conflicts") &&
                           Contains("re-runs") && Contains("memory"));
}

TEST_CASE("the same input gives the same world, whatever the workers",
          "[tools][cli]") {
  for (const char* variant : {"declared", "undeclared", "events"}) {
    const std::string input = Transfers(variant, 500);
    const World serial;
    REQUIRE(serial.Run("bank", input, {"--reproducible"}).code == 0);
    for (const char* workers : {"1", "2", "8"}) {
      const World world;
      REQUIRE(world.Run("bank", input, {"--workers", workers, "--reproducible"})
                  .code == 0);
      CAPTURE(variant, workers);
      CHECK(world.Digest() == serial.Digest());
    }
  }
}

TEST_CASE("another seed is another world", "[tools][cli]") {
  const World a, b, c;
  REQUIRE(a.Run("counter", Clicks(3)).code == 0);
  REQUIRE(b.Run("counter", Clicks(3), {"--seed", "1"}).code == 0);
  REQUIRE(c.Run("counter", Clicks(3), {"--seed", "random"}).code == 0);
  const json first = json::parse(a.Digest());
  for (const World* other : {&b, &c}) {
    const json digest = json::parse(other->Digest());
    CHECK(digest["state"] == first["state"]);
    CHECK(digest["journal"] != first["journal"]);
  }
}

TEST_CASE("the formats say the same in their own ways", "[tools][cli]") {
  const World jsonl, csv;
  REQUIRE(jsonl.Run("counter", "{\"counter\":\"a\",\"add\":2}\n").code == 0);
  REQUIRE(csv.Run("counter", "counter,add\r\na,2", {"--format", "csv"}).code ==
          0);
  // Histories differ in what they say of the file.
  CHECK(json::parse(jsonl.Digest())["state"] ==
        json::parse(csv.Digest())["state"]);

  const World events;
  const CommandResult result = events.Run(
      "counter", R"({"reducer": "counter", "key": "a", "payload": 2})",
      {"--format", "jsonl"});
  CheckComplaint(result, 7, "stdin:1: ");  // the module's mapper comes first

  const World rows;
  REQUIRE(rows.Run("counter", "k\nx\ny\nx\n",
                   {"--format", "csv", "--reducer", "counter", "--key", "k"})
              .code == 0);
  CHECK(rows.Ask("state", {"counter", "x", "--json"}).out == "2\n");
}

TEST_CASE("a malformed line is named, and what is before it stays",
          "[tools][cli]") {
  const World world, uninterrupted;
  const std::string before = Clicks(50);
  CheckComplaint(
      world.Run("counter", before + "{\"counter\":\n" + Clicks(50), {"-q"}), 7,
      "stdin:51: not JSON");
  CHECK_THAT(world.Digest(), Contains("\"head\":50,"));
  // Corrected, the same command goes on behind what it has.
  REQUIRE(world.Run("counter", before + Clicks(50)).code == 0);
  REQUIRE(uninterrupted.Run("counter", before + Clicks(50)).code == 0);
  CHECK(json::parse(world.Digest())["state"] ==
        json::parse(uninterrupted.Digest())["state"]);
  CHECK_THAT(world.Digest(), Contains("\"head\":100,"));
}

TEST_CASE("bad input is bad input, and the world opens afterwards",
          "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(1)).code == 0);
  const auto feed = [&](const std::string& row,
                        std::vector<std::string> more = {}) {
    more.push_back("-q");
    return world.Run("counter", Clicks(1) + row + "\n", std::move(more));
  };
  const std::vector<std::string> as_rows = {"--reducer", "counter", "--key",
                                            "id"};
  CheckComplaint(feed("{\"counter\": 5}"), 7, "stdin:2: ");
  CheckComplaint(feed("{\"id\": 5}", as_rows), 7, "stdin:2: field \"id\"");
  CheckComplaint(feed("{}", as_rows), 7, "stdin:2: no field \"id\"");
  CheckComplaint(
      feed("{\"id\": \"a\"}", {"--reducer", "nobody", "--key", "id"}), 7,
      "stdin:2: no reducer \"nobody\"");
  CheckComplaint(feed("{\"id\": \"" + std::string(2000, 'k') + "\"}", as_rows),
                 7, "stdin:2: the key has 2000 bytes");
  CheckComplaint(
      feed("{\"id\": \"a\", \"x\": \"" + std::string(2 << 20, 'x') + "\"}",
           as_rows),
      7, "stdin:2: the payload has");
  CheckComplaint(
      feed("{\"id\": \"a\", \"x\": \"" + std::string(100 << 20, 'x') + "\"}",
           as_rows),
      7, "stdin:2: the line has more than");
  REQUIRE(feed("{\"counter\": \"c0\", \"add\": 9}").code == 0);
  CHECK(world.Ask("state", {"counter", "c0", "--json"}).out == "9\n");
}

TEST_CASE(
    "trial 04: a row as deep as rows may be, which the build keeps inside "
    "its state, fails its step",
    "[tools][cli]") {
  const World world;
  const auto row = [](std::size_t arrays) {
    return R"({"target": "app", "argv": ["cc"], "x": )" +
           std::string(arrays, '[') + std::string(arrays, ']') + "}\n";
  };
  const CommandResult deep = world.Run("build", row(63), {"-q"});
  INFO(deep.err);
  CHECK(deep.code == 0);
  CHECK_THAT(world.Ask("log").out, Contains("invalid_output"));
  CHECK(world.Ask("verify", {"--module", "build"}).code == 0);
  CheckComplaint(world.Run("build", row(63) + row(64), {"-q"}), 7, "stdin:2: ");
}

TEST_CASE("an input that cannot be read is the system's error",
          "[tools][cli]") {
  const World world;
  CheckComplaint(RunReenact({"run", "-m", "counter", "-w", world.path, "-e",
                             "/nonexistent/x.jsonl"}),
                 9, "/nonexistent/x.jsonl");
}

TEST_CASE("a module that is not there or is none is named", "[tools][cli]") {
  const World world;
  CheckComplaint(world.Run("no-such-module", ""), 10, "no-such-module");
  CheckComplaint(world.Run("/nonexistent.so", ""), 10, "/nonexistent.so");
  const std::string text = world.directory / "text.so";
  WriteWholeFile(text, "no module");
  CheckComplaint(world.Run(text, ""), 10, "text.so");
  CHECK_FALSE(std::filesystem::exists(world.path));
}

TEST_CASE("a world is not there, or is something else", "[tools][cli]") {
  const World world;
  for (const char* command :
       {"digest", "log", "state", "export", "stat", "verify"}) {
    INFO(command);
    CheckComplaint(world.Ask(command), 8, world.path);
  }
  WriteWholeFile(world.directory / "file", "x");
  CheckComplaint(RunReenact({"run", "-m", "counter", "-w",
                             world.directory.path(), "-e", "-"}),
                 8, world.directory.path());
}

TEST_CASE("a world of a newer format is left alone", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(1)).code == 0);
  WriteWholeFile(world.path + "/WORLD", "reenact world format 99\n");
  CheckComplaint(world.Run("counter", Clicks(2), {"-q"}), 6, "format 99");
  CheckComplaint(world.Ask("digest"), 6, "format 99");
  CheckComplaint(world.Ask("verify", {"-m", "counter"}), 6, "format 99");
  WriteWholeFile(world.path + "/WORLD", "reenact world format 1\n");
  REQUIRE(world.Run("counter", Clicks(2)).code == 0);
}

TEST_CASE("a damaged world is refused, with the file named", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(1)).code == 0);
  const std::string head = world.path + "/HEAD";
  const std::string before = ReadWholeFile(head);
  WriteWholeFile(head, std::string(before.size(), 'x'));
  CheckComplaint(world.Run("counter", Clicks(2), {"-q"}), 3, "HEAD");
  const CommandResult verified = world.Ask("verify", {"-m", "counter"});
  CHECK(verified.code == 3);
  CHECK_THAT(verified.out, StartsWith("DAMAGED") && Contains("HEAD"));
  WriteWholeFile(head, before);
  REQUIRE(world.Run("counter", Clicks(2)).code == 0);
}

// More than pipes and buffers hold: once it is written, the world is open and
// has been fed some of it. A whole number of rounds, so that it does not matter
// where it stops.
std::string Plenty() { return Clicks(40 * 1024); }

TEST_CASE("a world that is open elsewhere is refused, and can be read",
          "[tools][cli]") {
  const World world;
  Command first(Reenact(world.RunArguments("counter", {"-q"})));
  first.Write(Plenty());
  CheckComplaint(world.Run("counter", Clicks(1), {"-q"}), 8, world.path);
  CHECK(world.Ask("digest").code == 0);
  CHECK(world.Ask("log", {"--kind", "Genesis"}).code == 0);
  CHECK(first.Finish().code == 0);
}

// Both used to end with 0, and the new world was damaged.
TEST_CASE(
    "trial 06: a run whose world is removed or moved ends with 9, and the new "
    "world of that name is whole",
    "[tools][cli]") {
  const bool moved = GENERATE(false, true);
  const World elsewhere;
  REQUIRE(elsewhere.Run("counter", Clicks(3000), {"-q"}).code == 0);
  const World world;
  Command first(Reenact(world.RunArguments("counter", {"-q"})));
  first.Write(Plenty());
  if (moved) {
    std::filesystem::rename(world.path, world.path + ".bak");
  } else {
    std::filesystem::remove_all(world.path);
  }
  CHECK(world.Run("counter", Clicks(3000), {"-q"}).code == 0);
  CheckComplaint(first.Finish(), 9, world.path);
  CHECK(world.Ask("state").out == elsewhere.Ask("state").out);
  CHECK(world.Ask("verify", {"-m", "counter"}).code == 0);
  if (!moved) return;
  CHECK(RunReenact({"verify", world.path + ".bak", "-m", "counter"}).code == 0);
}

TEST_CASE("a stopped run goes on to the same world", "[tools][cli]") {
  const World uninterrupted;
  const std::vector<std::string> same = {"-q", "--reproducible"};
  REQUIRE(uninterrupted.Run("counter", Plenty(), same).code == 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    const World world;
    Command first(Reenact(world.RunArguments("counter", same)));
    first.Write(Plenty());
    first.Signal(signal);
    const CommandResult stopped = first.Finish();
    CheckComplaint(stopped, 128 + signal, "the same command continues");
    const json midway = json::parse(world.Digest());
    CHECK(midway["head"] > 0);

    REQUIRE(world.Run("counter", Plenty(), same).code == 0);
    CHECK(world.Digest() == uninterrupted.Digest());
    CHECK(world.Ask("verify", {"-m", "counter"}).code == 0);
  }
}

TEST_CASE("a limit stops a run, and the same command continues",
          "[tools][cli]") {
  const World world, uninterrupted;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(world.Run("counter", Clicks(100), {"-q", "--limit", "40"}).code ==
            0);
  }
  REQUIRE(uninterrupted.Run("counter", Clicks(100)).code == 0);
  CHECK(json::parse(world.Digest())["state"] ==
        json::parse(uninterrupted.Digest())["state"]);
}

TEST_CASE("modules that changed need a word", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(10)).code == 0);
  const std::string changed = TestModule("counter_changed");
  CheckComplaint(world.Run(changed, Clicks(20), {"-q"}), 4,
                 "--accept-module-change");
  REQUIRE(
      world.Run(changed, Clicks(20), {"-q", "--accept-module-change"}).code ==
      0);
  CHECK_THAT(world.Ask("log", {"--kind", "ModuleChanged"}).out,
             Contains("- ModuleChanged {"));
  CHECK(world.Ask("verify", {"-m", "counter", "-m", changed}).code == 0);
}

TEST_CASE("verify: every byte as recorded", "[tools][cli][verify]") {
  const World world;
  REQUIRE(world
              .Run("bank", Transfers("undeclared", 300),
                   {"--workers", "2", "--snapshot-every", "1"})
              .code == 0);
  const json digest = json::parse(world.Digest());
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--module", "bank"},
                                             {},  // by the recorded name
                                             {"--from-snapshot"},
                                             {"--workers", "2"},
                                             {"--once"}}) {
    std::vector<std::string> arguments = more;
    arguments.push_back("--json");
    const CommandResult result = world.Ask("verify", arguments);
    CAPTURE(more, result.err, result.out);
    REQUIRE(result.code == 0);
    const json report = json::parse(result.out);
    CHECK(report["verdict"] == "identical");
    CHECK(report["head"] == digest["head"]);
    CHECK(report["journal"] == digest["journal"]);
    CHECK(report["state"] == digest["state"]);
  }
}

TEST_CASE("verify: a changed reducer is caught at its first ticket",
          "[tools][cli][verify]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(50)).code == 0);
  const std::string junit = world.directory / "junit.xml";
  const CommandResult result = world.Ask(
      "verify", {"--module", TestModule("counter_changed"), "--junit", junit});
  CAPTURE(result.out, result.err);
  CHECK(result.code == 1);
  CHECK_THAT(result.out, StartsWith("DIVERGED") && Contains("event_id:") &&
                             Contains("reducer:") && Contains("counter") &&
                             Contains("recorded:") && Contains("recomputed:") &&
                             Contains("cause:"));
  CHECK_THAT(ReadWholeFile(junit), Contains("failures=\"1\""));
}

TEST_CASE("verify: an impure reducer is caught, with its name",
          "[tools][cli][verify]") {
  for (const std::string module :
       {"impure_clock", "impure_rand", "impure_getenv", "impure_static"}) {
#ifdef REENACT_SANITIZED
    // Without probes: sanitizers intercept the same functions.
    if (module == "impure_getenv") continue;
#endif
    const World world;
    REQUIRE(world.Run(TestModule(module), Clicks(20)).code == 0);
    const CommandResult result =
        world.Ask("verify", {"--module", TestModule(module)});
    CAPTURE(module, result.out, result.err);
    CHECK(result.code == 5);
    CHECK_THAT(result.out, StartsWith("IMPURE") && Contains("counter"));
  }
}

TEST_CASE("run: with --self-check a step that differs ends the run, unrecorded",
          "[tools][cli][run]") {
  const World world;
  const CommandResult result =
      world.Run(TestModule("impure_static"), Clicks(20), {"--self-check", "1"});
  CAPTURE(result.out, result.err);
  CHECK(result.code == 5);
  CHECK_THAT(result.err, Contains("\"counter\", key \"c0\", at ticket 1"));
  const World other;
  CHECK(other.Run("counter", Clicks(50), {"--self-check", "3"}).code == 0);
}

TEST_CASE("verify: other builds of the same reducers are said",
          "[tools][cli][verify]") {
  const World world;
  // No step's outcome depends on what the two do differently.
  REQUIRE(world.Run(TestModule("counter_changed"), "").code == 0);
  const std::vector<std::string> other = {"--module", "counter"};
  const CommandResult result = world.Ask("verify", other);
  CHECK(result.code == 4);
  CHECK_THAT(result.out, StartsWith("MODULE CHANGED"));
  CHECK(world.Ask("verify", {"-m", "counter", "--allow-module-change"}).code ==
        0);
}

TEST_CASE("states, now and then", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(20)).code == 0);
  // The steps of one cell stand together: c1 gets 1, 3 and 0 at 4, 5 and 6.
  CHECK(world.Ask("state", {"counter", "c1", "--json"}).out == "4\n");
  CHECK(world.Ask("state", {"counter", "c1", "--at", "4"}).out == "1\n");
  CHECK(world.Ask("state", {"counter", "c1", "--at", "5"}).out == "4\n");
  const CommandResult all = world.Ask("state", {"--json"});
  CHECK(std::count(all.out.begin(), all.out.end(), '\n') == 7);
  CHECK_THAT(all.out,
             StartsWith(R"({"reducer":"counter","key":"c0","state":)"));
  CHECK_THAT(world.Ask("state", {"counter"}).out,
             StartsWith("\"counter/c0\" "));
  CheckComplaint(world.Ask("state", {"counter", "c1", "--at", "3"}), 1,
                 "no cell counter/c1");
  CheckComplaint(world.Ask("state", {"nobody"}), 1, "nobody");
  CheckComplaint(world.Ask("state", {"--at", "21"}), 2, "21");
}

TEST_CASE("the log is in order and can be narrowed", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(20)).code == 0);
  const CommandResult all = world.Ask("log");
  CHECK_THAT(all.out,
             StartsWith("- Genesis {") && Contains("20 StepCommitted {"));
  const CommandResult some = world.Ask("log", {"--from", "7", "--to", "7"});
  CHECK_THAT(some.out, StartsWith("- InputAdmitted {\"input\": 3, "));
  CHECK(std::count(some.out.begin(), some.out.end(), '\n') == 3);
  const CommandResult kinds =
      world.Ask("log", {"--kind", "stepcommitted", "--json"});
  CHECK(std::count(kinds.out.begin(), kinds.out.end(), '\n') == 20);
  CHECK(json::parse(kinds.out.substr(0, kinds.out.find('\n')))["event_id"] ==
        1);
  CheckComplaint(world.Ask("log", {"--kind", "Nonsense"}), 2, "Nonsense");
  CheckComplaint(world.Ask("log", {"--from", "21"}), 2, "21");
}

TEST_CASE("why goes back to the input and forward to what came of it",
          "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("bank", Transfers("events", 1)).code == 0);
  // Ten deposits, a transfer right after the first of them, and the credit that
  // it raised.
  const CommandResult forward = world.Ask("why", {"2"});
  CHECK_THAT(forward.out, StartsWith("InputAdmitted {\"input\": 11, ") &&
                              Contains("  2 event \"bank.events/a0\" committed"
                                       "   <-- this\n") &&
                              Contains("    12 derived \"bank.events/a1\""));
  const CommandResult back = world.Ask("why", {"12", "--json"});
  const json graph = json::parse(back.out);
  CHECK(graph["input"]["input"] == 11);
  CHECK(graph["causes"][0]["event_id"] == 2);
  CHECK(graph["step"]["event_id"] == 12);
  CHECK(graph["step"]["consequences"].empty());
  CheckComplaint(world.Ask("why", {"13"}), 2, "13");
  CheckComplaint(world.Ask("why", {"0"}), 2, "1 to 12");
}

TEST_CASE("an export is the journal's own bytes, or JSON lines",
          "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(5)).code == 0);
  const CommandResult bytes = world.Ask("export");
  CHECK(bytes.code == 0);
  CHECK(bytes.out.size() > 100);
  const CommandResult lines = world.Ask("export", {"--format", "jsonl"});
  // Genesis, a round, and input, schedule and outcome of each.
  CHECK(std::count(lines.out.begin(), lines.out.end(), '\n') == 17);
}

TEST_CASE("stat counts", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("bank", Transfers("declared", 200)).code == 0);
  const json stat = json::parse(world.Ask("stat", {"--json"}).out);
  CHECK(stat["entries"]["InputAdmitted"] == 210);
  CHECK(stat["entries"]["StepScheduled"] == 210);
  CHECK(stat["failures"]["failed_precondition"] > 0);
  CHECK(stat["hottest"].size() == 10);
  CHECK(stat["cells"]["bank.declared"]["cells"] == 10);
  CHECK_THAT(world.Ask("stat").out, Contains("hottest cells, in steps\n"));
}

TEST_CASE("output that nobody takes is an error", "[tools][cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(5)).code == 0);
  const CommandResult result =
      RunProgram({"sh", "-c", "exec \"$0\" export \"$1\" > /dev/full",
                  REENACT_BINARY_DIR "/bin/reenact", world.path});
  CheckComplaint(result, 9, "standard output");
}

// Runs a script in a mount namespace of its own, with the world's directory in
// $1 and the command in $0; false where that is not permitted.
bool RunWithMounts(const World& world, const std::string& script,
                   CommandResult* result) {
  if (RunProgram({"unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"})
          .code != 0) {
    WARN("skipped: no mount namespaces here");
    return false;
  }
  *result =
      RunProgram({"unshare", "-m", "sh", "-c", script,
                  REENACT_BINARY_DIR "/bin/reenact", world.directory.path()});
  return true;
}

TEST_CASE("a full disk is named, and the world opens when there is room",
          "[tools][cli]") {
  const World world;
  // Lines that compress badly.
  std::string rows;
  std::uint64_t noise = 88172645463325252ULL;
  for (int i = 0; i < 40'000; ++i) {
    std::string payload;
    while (payload.size() < 600) {
      noise ^= noise << 13;
      noise ^= noise >> 7;
      noise ^= noise << 17;
      payload += std::to_string(noise);
    }
    rows += "{\"id\": \"k" + std::to_string(i % 100) + "\", \"x\": \"" +
            payload + "\"}\n";
  }
  WriteWholeFile(world.directory / "rows.jsonl", rows);
  CommandResult result;
  if (!RunWithMounts(
          world,
          "mkdir \"$1/full\" && mount -t tmpfs -o size=12m none \"$1/full\"\n"
          "run() { \"$0\" run -q -m counter -w \"$1/full/w\" "
          "-e \"$1/rows.jsonl\" --reducer counter --key id; }\n"
          "run \"$1\"; echo first $?\n"
          "mount -o remount,size=400m \"$1/full\"\n"
          "run \"$1\"; echo second $?\n"
          "\"$0\" verify -q -m counter \"$1/full/w\"; echo verified $?\n"
          "\"$0\" digest \"$1/full/w\"\n",
          &result)) {
    return;
  }
  CAPTURE(result.out, result.err);
  CHECK_THAT(result.out, StartsWith("first 9\nsecond 0\nverified 0\n"));
  CHECK_THAT(result.out, Contains("head     40000\n"));
  CHECK_THAT(result.err, StartsWith("reenact: ") && Contains("o space"));
}

TEST_CASE("a read-only directory is named, and the world opens afterwards",
          "[tools][cli]") {
  const World world;
  WriteWholeFile(world.directory / "rows.jsonl", Clicks(100));
  CommandResult result;
  if (!RunWithMounts(world,
                     "mkdir \"$1/ro\" && mount -t tmpfs none \"$1/ro\"\n"
                     "run() { \"$0\" run -q -m counter -w \"$1/ro/w\" "
                     "-e \"$1/rows.jsonl\" $2; }\n"
                     "mount -o remount,ro \"$1/ro\"; run \"$1\"; echo new $?\n"
                     "mount -o remount,rw \"$1/ro\"; run \"$1\" '--limit 5'\n"
                     "mount -o remount,ro \"$1/ro\"; run \"$1\"; echo old $?\n"
                     "\"$0\" digest \"$1/ro/w\" > /dev/null; echo read $?\n"
                     "mount -o remount,rw \"$1/ro\"; run \"$1\"; echo end $?\n"
                     "\"$0\" digest \"$1/ro/w\"\n",
                     &result)) {
    return;
  }
  CAPTURE(result.out, result.err);
  CHECK_THAT(result.out, StartsWith("new 9\nold 9\nread 0\nend 0\n"));
  CHECK_THAT(result.out, Contains("head     100\n"));
}

TEST_CASE(
    "chaos 25: a step that does not return ends the run, is named, and leaves "
    "no trace",
    "[cli]") {
  const World world;
  const std::string before = Clicks(20);
  const std::string row = R"({"counter": "c3", "add": 13})"
                          "\n";
  const std::string workers = GENERATE(as<std::string>(), "0", "2");
  const CommandResult stuck =
      world.Run(TestModule("endless"), before + row + Clicks(20),
                {"--step-timeout", "0.3", "--workers", workers});
  CHECK(stuck.code == 11);
  CHECK_THAT(stuck.err, Contains("event 2") && Contains("'counter'") &&
                            Contains("'c3'") && Contains("0.3 s"));
  // Again, as long as nobody mends it; then it goes on.
  CHECK(world
            .Run(TestModule("endless"), before + row + Clicks(20),
                 {"--step-timeout", "0.3"})
            .code == 11);
  const CommandResult mended =
      world.Run("counter", before + row + Clicks(20),
                {"--accept-module-change", "--step-timeout", "30"});
  INFO(mended.err);
  CHECK(mended.code == 0);
  CHECK(world
            .Ask("verify",
                 {"--module", "counter", "--module", TestModule("endless")})
            .code == 0);
}

TEST_CASE("rollback puts a world back to a snapshot, and history goes on",
          "[cli]") {
  const World world;
  REQUIRE(world
              .Run("counter", Clicks(40),
                   {"--round-limit", "10", "--snapshot-every", "2"})
              .code == 0);
  const CommandResult snapshots =
      world.Ask("log", {"--kind", "SnapshotTaken", "--json"});
  REQUIRE(snapshots.code == 0);
  const json first =
      json::parse(snapshots.out.substr(0, snapshots.out.find('\n')));
  INFO(first.dump());
  const std::string to = first.at("at").dump();
  const CommandResult then = world.Ask("state", {"--at", to, "--json"});
  REQUIRE(then.code == 0);

  const CommandResult back = world.Ask(
      "rollback", {"--to", to, "--module", "counter", "--reason", "too many"});
  INFO(back.err);
  REQUIRE(back.code == 0);
  CHECK(world.Ask("state", {"--json"}).out == then.out);
  CHECK_THAT(world.Ask("log", {"--kind", "RolledBack"}).out,
             Contains("too many"));
  CHECK(world.Ask("verify", {"--module", "counter"}).code == 0);

  const CommandResult none =
      world.Ask("rollback", {"--to", "7", "--module", "counter"});
  CHECK(none.code == 8);
  CHECK_THAT(none.err, Contains("no snapshot was kept of ticket 7"));
  CHECK(world.Ask("rollback", {"--module", "counter"}).code == 2);

  REQUIRE(world.Run("counter", Clicks(60)).code == 0);
  CHECK(world.Ask("verify", {"--module", "counter"}).code == 0);
}

// --- what is the matter ------------------------------------------------------

TEST_CASE(
    "trial 20: another build of the module is 4 to every command that "
    "opens a world, with advice that can be followed",
    "[cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(10), {"--snapshot-every", "1"}).code ==
          0);
  const std::string changed = TestModule("counter_changed");
  const std::string before = world.Digest();
  const std::vector<std::vector<std::string>> commands = {
      {"rollback", world.path, "--to", "1"},
      {"approve", world.path, "123456"},
      {"cancel", world.path, "--cell", "counter/c1"},
      {"retry", world.path, "--all"},
      {"grant", "revoke", world.path, "g"},
      {"policy", "set", world.path, "--none"}};
  for (std::vector<std::string> command : commands) {
    command.insert(command.end(), {"--module", changed});
    const CommandResult result = RunReenact(command);
    CAPTURE(command, result.err);
    // Whoever names an effect reads the world first, and finds that there is
    // none.
    if (command[0] == "approve") {
      CHECK(result.code == 8);
      continue;
    }
    CheckComplaint(result, 4, "`reenact run --accept-module-change`");
  }
  CHECK(world.Digest() == before);
  // The advice: with what was fed before there is nothing more to feed.
  CHECK(world.Run(changed, Clicks(10), {"--accept-module-change"}).code == 0);
  CHECK(
      RunReenact({"policy", "set", world.path, "--none", "-m", changed}).code ==
      0);
}

// As one who may not read everything. False: the system has no such user.
bool RunAsNobody(std::vector<std::string> arguments, CommandResult* result) {
  std::vector<std::string> all = Reenact(std::move(arguments));
  if (::geteuid() == 0) {
    all.insert(all.begin(), {"setpriv", "--reuid=65534", "--clear-groups"});
  }
  *result = RunProgram(all);
  return result->err.find("setpriv") == std::string::npos;
}

void SetModes(const std::string& path, int directories, int files) {
  using std::filesystem::perms;
  std::filesystem::permissions(path, static_cast<perms>(directories));
  for (const auto& each : std::filesystem::recursive_directory_iterator(path)) {
    std::filesystem::permissions(
        each.path(),
        static_cast<perms>(each.is_directory() ? directories : files));
  }
}

TEST_CASE(
    "trial 20: what somebody may not read is the system's answer, 9, to "
    "every command",
    "[cli]") {
  const World world;
  REQUIRE(world.Run("counter", Clicks(40), {"--snapshot-every", "1"}).code ==
          0);
  const std::vector<std::vector<std::string>> commands = {
      {"digest", world.path},
      {"state", world.path},
      {"log", world.path},
      {"stat", world.path},
      {"why", world.path, "1"},
      {"export", world.path},
      {"effects", world.path},
      {"budget", world.path},
      {"policy", "show", world.path},
      {"verify", world.path, "-m", "counter"},
      {"run", "-m", "counter", "-w", world.path, "-e", "-"},
      {"rollback", world.path, "--to", "1", "-m", "counter"}};
  const auto ask = [&](const std::string& hidden, bool needed) {
    for (const auto& command : commands) {
      CommandResult result;
      if (!RunAsNobody(command, &result)) {
        WARN("nobody else can run a command here, so nothing is looked at");
        return;
      }
      CAPTURE(hidden, command, result.out, result.err);
      if (needed || result.code != 0) {
        // Of a world that may be read, some commands find nothing to show.
        const bool nothing = !needed && result.code == 1;
        CHECK((result.code == 9 || nothing));
        if (!nothing) CHECK_THAT(result.err, Contains("ermission denied"));
      }
    }
  };
  std::filesystem::permissions(world.directory.path(),
                               static_cast<std::filesystem::perms>(0755));
  using std::filesystem::perms;
  for (const std::string name : {"", "/WORLD", "/HEAD", "/db"}) {
    SetModes(world.path, 0755, 0644);
    std::filesystem::permissions(world.path + name, perms::none);
    ask(name, true);
  }
  // May be listed, not entered; the other way round.
  for (const int mode : {0444, 0111}) {
    SetModes(world.path, 0755, 0644);
    std::filesystem::permissions(world.path + "/db", static_cast<perms>(mode));
    ask("/db", true);
  }
  SetModes(world.path, 0755, 0644);
  std::filesystem::permissions(world.path + "/snapshots", perms::none);
  ask("/snapshots", false);
  SetModes(world.path, 0755, 0644);
  for (const auto& file :
       std::filesystem::directory_iterator(world.path + "/db")) {
    const std::string name = file.path().filename();
    if (name == "LOCK" || name.starts_with("LOG") || name == "IDENTITY") {
      continue;
    }
    std::filesystem::permissions(file.path(), perms::none);
    ask(file.path().filename(), false);
    std::filesystem::permissions(file.path(), static_cast<perms>(0644));
  }
  SetModes(world.path, 0700, 0600);
  CHECK(world.Ask("verify", {"-m", "counter"}).code == 0);
}

TEST_CASE("trial 22: verify reads the blobs that receipts refer to", "[cli]") {
  const World world;
  const std::string keeper = TestModule("keeper");
  const CommandResult kept =
      world.Run(keeper,
                R"({"k": "a", "text": "one"})"
                "\n"
                R"({"k": "b", "text": "two"})",
                {"--with-executors", "--reducer", "keeper", "--key", "k"});
  INFO(kept.err);
  REQUIRE(kept.code == 0);
  std::vector<std::string> blobs;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(world.path + "/blobs")) {
    if (file.is_regular_file()) blobs.push_back(file.path());
  }
  REQUIRE(blobs.size() == 2);
  const auto verify = [&](std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--module", keeper});
    return world.Ask("verify", std::move(more));
  };
  const CommandResult whole = verify();
  CHECK(whole.code == 0);
  CHECK_THAT(whole.out, Contains("2 blobs are there"));

  const std::string bytes = ReadWholeFile(blobs[0]);
  WriteWholeFile(blobs[0], bytes + "x");
  const CommandResult damaged = verify();
  CHECK(damaged.code == 3);
  CHECK_THAT(damaged.out, StartsWith("DAMAGED") && Contains(blobs[0]) &&
                              Contains("the receipt of input "));
  CHECK(verify({"--no-blobs"}).code == 0);
  std::filesystem::remove(blobs[0]);
  const CommandResult gone = verify({"--blobs"});
  CHECK(gone.code == 3);
  CHECK_THAT(gone.out, StartsWith("DAMAGED") && Contains(blobs[0]));
  std::filesystem::remove_all(world.path + "/blobs");
  CHECK(verify().code == 3);
  CHECK(verify({"--no-blobs"}).code == 0);
  // Reading makes nothing.
  CHECK_FALSE(std::filesystem::exists(world.path + "/blobs"));
  CHECK_THAT(verify({"--json"}).out, Contains("\"verdict\":\"damaged\""));
}

}  // namespace
}  // namespace reenact::tests
