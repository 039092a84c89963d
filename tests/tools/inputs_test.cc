// What a run is given: its input files, and its command line.

#include <algorithm>
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

// A row that adds `add` to the counter `c`.
std::string Add(int add) {
  return "{\"counter\": \"c\", \"add\": " + std::to_string(add) + "}\n";
}

std::string Adds(int count) {
  std::string rows;
  for (int i = 1; i <= count; ++i) rows += Add(i);
  return rows;
}

// A world of the module `counter` that is fed files.
class FedWorld {
 public:
  FedWorld() : path_(directory_ / "w") {}

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string file = directory_ / name;
    std::filesystem::create_directories(
        std::filesystem::path(file).parent_path());
    WriteWholeFile(file, text);
    return file;
  }
  CommandResult Feed(const std::string& file,
                     std::vector<std::string> more = {}) const {
    more.insert(more.begin(),
                {"run", "-m", "counter", "-w", path_, "-e", file});
    return RunReenact(std::move(more));
  }
  // How many rows that took in; says why if it failed.
  std::string Rows(const std::string& file,
                   std::vector<std::string> more = {}) const {
    more.push_back("--json");
    const CommandResult fed = Feed(file, std::move(more));
    if (fed.code != 0) return std::to_string(fed.code) + " " + fed.err;
    return json::parse(fed.out).at("rows").dump();
  }
  std::string Sum() const {
    return RunReenact({"state", path_, "counter", "c", "--json"}).out;
  }
  std::string Ask(const std::string& command,
                  std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {command, path_});
    const CommandResult result = RunReenact(std::move(more));
    return result.code == 0 ? result.out : result.err;
  }
  bool Verifies() const {
    return RunReenact({"verify", path_, "-m", "counter"}).code == 0;
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return directory_ / name;
  }

 private:
  TemporaryDirectory directory_;
  std::string path_;
};

// One line, which has `what` in it.
void CheckRefused(const CommandResult& result, int code,
                  const std::string& what) {
  CAPTURE(result.err);
  CHECK(result.code == code);
  CHECK_THAT(result.err, StartsWith("reenact: ") && Contains(what));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(result.err.size() < 400);
}

// A script of the shell, with the command in $0 and the world in $1; 124 if it
// hangs.
CommandResult RunShell(const FedWorld& world, const std::string& script) {
  return RunProgram({"timeout", "60", "sh", "-c", script,
                     REENACT_BINARY_DIR "/bin/reenact", world.path()});
}

// --- 16: sources -------------------------------------------------------------

TEST_CASE("trial 16: each file is fed whole, and goes on where it grows",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string monday = world.Write("monday.jsonl", Adds(3));
  const std::string tuesday = world.Write("tuesday.jsonl", Adds(4));
  CHECK(world.Rows(monday) == "3");
  CHECK(world.Rows(tuesday) == "4");
  CHECK(world.Sum() == "16\n");
  for (const std::string& file : {monday, tuesday}) {
    CHECK(world.Rows(file) == "0");
  }
  world.Write("monday.jsonl", Adds(3) + Add(100));
  CHECK(world.Rows(monday) == "1");
  CHECK(world.Sum() == "116\n");
  CHECK(world.Verifies());
}

TEST_CASE(
    "trial 16: a file that differs from what was taken in is refused with "
    "its line",
    "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(2500));
  REQUIRE(world.Rows(file) == "2500");
  const std::string before = world.Ask("digest");
  const auto refuse = [&](const std::string& text, const std::string& place) {
    world.Write("rows.jsonl", text);
    const CommandResult fed = world.Feed(file, {"--quiet"});
    CheckRefused(fed, 14, file + ":" + place + ": ");
    CHECK_THAT(fed.err, Contains("--append") && Contains("--source") &&
                            Contains("\"rows.jsonl\""));
    CHECK(world.Ask("digest") == before);
  };
  std::string edited = Adds(2500);
  edited.replace(edited.find("\"add\": 2000}"), 11, "\"add\": 2001");
  refuse(edited, "2000");
  refuse("\n" + Adds(2500), "2");  // it had been fed a row twice
  refuse(Adds(2500).substr(Add(1).size()), "1");
  refuse(Adds(2000), "2000");  // the file ends here
  refuse("", "0");
  refuse(Adds(700) + "{\n" + Adds(2000), "701");
  // Blanks, which no mapper sees, are another file, too.
  refuse(Adds(2499) + " " + Add(2500), "2500");

  world.Write("rows.jsonl", Adds(2500) + Add(1));
  CHECK(world.Rows(file) == "1");
  CHECK(world.Verifies());
}

TEST_CASE("trial 16: line ends and a byte order mark make no other file",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string csv = world.Write("rows.csv", "counter,add\nc,1\nc,2\n");
  CHECK(world.Rows(csv, {"--reducer", "counter", "--key", "counter"}) == "2");
  world.Write("rows.csv",
              "\xef\xbb\xbf"
              "counter,add\r\nc,1\r\nc,2\r\nc,3");
  CHECK(world.Rows(csv, {"--reducer", "counter", "--key", "counter"}) == "1");
  world.Write("rows.csv", "counter,sub\nc,1\nc,2\nc,3\n");
  CheckRefused(world.Feed(csv, {"--reducer", "counter", "--key", "counter"}),
               14, "rows.csv:");
}

TEST_CASE("trial 16: --append feeds another file of the same name, and goes on",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(3));
  CHECK(world.Rows(file, {"--append"}) == "3");
  world.Write("rows.jsonl", Add(10) + Add(20) + Add(30) + Add(40));
  CheckRefused(world.Feed(file), 14, "rows.jsonl:1: ");
  CHECK(world.Rows(file, {"--append", "--limit", "2"}) == "2");
  CHECK(world.Rows(file, {"--append"}) == "2");
  CHECK(world.Rows(file, {"--append"}) == "0");
  CHECK(world.Rows(file) == "0");
  CHECK(world.Sum() == "106\n");
  CHECK(world.Verifies());
  // What cannot be read twice cannot be looked at before it is fed.
  CHECK(world.Feed("-", {"--append"}).code == 2);
}

TEST_CASE("trial 16: --source gives a file another name, directories none",
          "[cli][inputs]") {
  const FedWorld world, other;
  const std::string a = world.Write("a/rows.jsonl", Adds(2));
  const std::string b = world.Write("b/rows.jsonl", Add(7));
  CHECK(world.Rows(a, {"--reproducible"}) == "2");
  CheckRefused(world.Feed(b), 14, "rows.jsonl:1: ");
  CHECK(world.Rows(b, {"--source", "seven"}) == "1");
  CHECK(world.Rows(b, {"--source", "seven"}) == "0");
  CHECK(world.Sum() == "10\n");
  CHECK_THAT(world.Ask("log", {"--kind", "RoundOpened"}),
             Contains("\"seven\"") && Contains("\"rows.jsonl\""));
  // The same file elsewhere gives the same bytes.
  const std::string c = other.Write("c/d/rows.jsonl", Adds(2));
  CHECK(other.Rows(c, {"--reproducible"}) == "2");
  CHECK(other.Rows(b, {"--source", "seven"}) == "1");
  CHECK(other.Ask("digest") == world.Ask("digest"));
  CHECK(world.Feed(a, {"--source", std::string(256, 's')}).code == 2);
}

TEST_CASE("trial 16: after a rollback the corrected file is fed",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(40));
  const std::vector<std::string> rules = {"--round-limit", "10",
                                          "--snapshot-every", "2"};
  REQUIRE(world.Rows(file, rules) == "40");
  const std::string taken =
      world.Ask("log", {"--kind", "SnapshotTaken", "--json"});
  const json first = json::parse(taken.substr(0, taken.find('\n')));
  const CommandResult back =
      RunReenact({"rollback", world.path(), "--to", first.at("at").dump(), "-m",
                  "counter", "--reason", "bad import"});
  INFO(back.err);
  REQUIRE(back.code == 0);
  CHECK_THAT(world.Ask("log", {"--kind", "RolledBack"}),
             Contains("\"rows.jsonl\""));

  std::string corrected = Adds(40);
  corrected.replace(corrected.find("\"add\": 39}"), 9, "\"add\": 19");
  world.Write("rows.jsonl", corrected);
  const std::string fed = world.Rows(file);
  CHECK(std::stoi(fed) > 0);
  CHECK(std::stoi(fed) < 40);
  CHECK(world.Sum() == "800\n");
  CHECK(world.Verifies());
  // In front of the snapshot nothing may change.
  corrected.replace(corrected.find("\"add\": 2}"), 8, "\"add\": 3");
  world.Write("rows.jsonl", corrected);
  CheckRefused(world.Feed(file), 14, "rows.jsonl:2: ");
}

// --- 17: names that are empty ------------------------------------------------

TEST_CASE("trial 17: a world in memory is asked for by name", "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(3));
  const auto run = [&file](std::vector<std::string> more) {
    more.insert(more.begin(), {"run", "-m", "counter", "-e", file});
    return RunReenact(std::move(more));
  };
  CheckRefused(run({"--world", ""}), 2, "--world");
  CheckRefused(run({}), 2, "--in-memory");
  CheckRefused(run({"--world", world.path(), "--in-memory"}), 2, "--in-memory");
  CheckRefused(run({"--in-memory", "--with-executors"}), 2, "directory");
  const CommandResult memory = run({"--in-memory", "--json"});
  CHECK(memory.code == 0);
  CHECK(json::parse(memory.out).at("rows") == 3);
  CHECK_FALSE(std::filesystem::exists(world.path()));
}

TEST_CASE("trial 17: no path and no name is empty", "[cli][inputs]") {
  const std::vector<std::string> run = {"run", "-m", "counter", "-w",
                                        "w",   "-e", "-"};
  std::vector<std::vector<std::string>> empty = {
      {"run", "-m", "", "-w", "w", "-e", "-"},
      {"run", "-m", "counter", "-w", "w", "-e", ""},
      {"verify", ""},
      {"verify", "w", "-m", ""},
      {"verify", "w", "--junit", ""},
      {"verify", "w", "--slice", ""},
      {"digest", ""},
      {"log", ""},
      {"log", "w", "--kind", ""},
      {"state", ""},
      {"state", "w", ""},
      {"why", "", "1"},
      {"export", ""},
      {"stat", ""},
      {"effects", ""},
      {"approve", "w", "-m", "counter", ""},
      {"cancel", "w", "-m", "counter", "--cell", ""},
      {"rollback", "w", "-m", "", "--to", "1"},
      {"rollback", "w", "-m", "counter", "--to", "1", "--by", ""},
      {"grant", "create", "w", "", "-m", "counter"},
      {"budget", "w", ""},
      {"policy", "check", ""},
      {"policy", "set", "w", "", "-m", "counter"},
      {"policy", "show", ""},
      {"bench", "--dir", ""},
      {"bench", "--json", ""},
  };
  for (const char* option :
       {"--source", "--format", "--reducer", "--key", "--sync", "--seed",
        "--cache", "--clock", "--executor-socket", "--secrets", "--message"}) {
    empty.push_back(run);
    empty.back().insert(empty.back().end(), {option, ""});
  }
  for (const auto& arguments : empty) {
    CAPTURE(arguments);
    CheckRefused(RunReenact(arguments), 2, "empty");
  }
  CHECK_FALSE(std::filesystem::exists("w"));
}

// --- 18: time ----------------------------------------------------------------

TEST_CASE("trial 18: no world stands still in time unless it was asked to",
          "[cli][inputs]") {
  const auto clock = [](const std::string& module, const std::string& rows,
                        std::vector<std::string> more) {
    const FedWorld world;
    more.insert(more.begin(), {"run", "-m", module, "-w", world.path(), "-e",
                               world.Write("rows.jsonl", rows), "-q"});
    const CommandResult fed = RunReenact(more);
    CAPTURE(fed.err);
    CHECK(fed.code == 0);
    const std::string genesis =
        world.Ask("log", {"--kind", "Genesis", "--json"});
    return json::parse(genesis).at("clock").get<std::string>() + fed.err;
  };
  // Its mapper sets no time.
  CHECK(clock("counter", Adds(3), {}) == "rounds");
  CHECK(clock("counter", Adds(3), {"--with-executors"}) == "wall");
  CHECK_THAT(clock("counter", Adds(3), {"--clock", "input"}),
             StartsWith("input") && Contains("time stands still") &&
                 Contains("--clock rounds or wall"));
  CHECK(
      clock(
          "cases",
          R"({"case": "1", "time": "2026-01-05T09:00:00", "activity": "open"})"
          "\n",
          {})
          .substr(0, 5) == "input");
}

// --- 19: the command line ----------------------------------------------------

TEST_CASE("trial 19: durations take units, and wrong values are said in a line",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(3));
  for (const char* timeout : {"30s", "500ms", "2m", "1h", "1.5", "0"}) {
    CAPTURE(timeout);
    CHECK(world.Feed(file, {"--step-timeout", timeout}).code == 0);
  }
  CHECK(world.Feed(file, {"--sync", "interval:50ms"}).code == 0);
  CHECK(world.Feed(file, {"--sync", "interval:2s"}).code == 0);
  CHECK(world.Feed(file, {"--sync", "interval:50"}).code == 0);

  const std::vector<std::vector<std::string>> wrong = {
      {"--step-timeout", "5 parsecs"},
      {"--step-timeout", "-5"},
      {"--step-timeout", "1e400"},
      {"--sync", "interval:2h"},
      {"--limit", "0"},
      {"--limit", "-3"},
      {"--limit", "many"},
      {"--workers", "-1"},
      {"--workers", "99999"},
      {"--window", "-8"},
      {"--round-limit", "0"},
      {"--concurrency", "0"},
      {"--snapshot-every", "-1"},
      {"--self-check", "1.5"},
      {"--seed", "-1"},
      {"--clock", "sun"}};
  for (const auto& option : wrong) {
    CAPTURE(option);
    CheckRefused(world.Feed(file, option), 2, option[0].substr(2));
  }
  CheckRefused(world.Feed(file, {"--concurrency", "5000"}), 2,
               "from 1 to 1024");
  CheckRefused(RunReenact({"log", world.path(), "--from", "4", "--to", "2"}), 2,
               "--from 4 --to 2");
  CheckRefused(RunReenact({"log", world.path(), "--from", "-4"}), 2, "--from");
  CheckRefused(RunReenact({"why", world.path(), "-1"}), 2, "");
  CheckRefused(RunReenact({"bench", "--seconds", "-1"}), 2, "--seconds");
}

TEST_CASE("trial 19: what is unknown is named as unknown", "[cli][inputs]") {
  CheckRefused(RunReenact({"run", "--modul", "counter", "-w", "w"}), 2,
               "no option --modul");
  CheckRefused(RunReenact({"verify", "--quick"}), 2, "no option --quick");
  CheckRefused(RunReenact({"frobnicate"}), 2, "no command \"frobnicate\"");
  CheckRefused(RunReenact({"frobnicate", "--help"}), 2,
               "no command \"frobnicate\"");
  CheckRefused(RunReenact({"grant", "frobnicate", "--help"}), 2, "frobnicate");
  CheckRefused(RunReenact({"--frobnicate"}), 2, "no option --frobnicate");
  CHECK(RunReenact({"run", "--help"}).code == 0);
}

TEST_CASE("trial 19: input that is not there has one exit code",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(3));
  REQUIRE(world.Feed(file).code == 0);
  const std::string gone = world / "gone.jsonl";
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"run", "-m", "counter", "-w", world / "new", "-e", gone},
           {"policy", "check", gone},
           {"policy", "explain", gone, "--kind", "k"},
           {"policy", "set", world.path(), gone, "-m", "counter"},
           {"grant", "create", world.path(), gone, "-m", "counter"}}) {
    CAPTURE(arguments);
    const CommandResult result = RunReenact(arguments);
    CAPTURE(result.err);
    CHECK(result.code == 9);
    CHECK_THAT(result.err, Contains(gone + ": there is no such file"));
  }
  CHECK_FALSE(std::filesystem::exists(world / "new"));
}

TEST_CASE("trial 19: closed and full streams are errors", "[cli][inputs]") {
  const FedWorld world;
  const auto run = [&world](const std::string& script) {
    return RunShell(world, script);
  };
  CheckRefused(run("exec \"$0\" run -m counter -w \"$1\" -e - -q <&-"), 9,
               "stdin");
  CheckRefused(run("exec \"$0\" --help >/dev/full"), 9, "standard output");
  CheckRefused(run("exec \"$0\" run --help >/dev/full"), 9, "standard output");
  CheckRefused(run("exec \"$0\" --version >/dev/full"), 9, "standard output");
  world.Write("rows.jsonl", Adds(2));
  CheckRefused(
      run("exec \"$0\" run -m counter -w \"$1\" -e \"$1/../rows.jsonl\" >&-"),
      9, "standard output");
  CHECK(world.Verifies());
}

TEST_CASE("trial 19: too many open files are not a full disk",
          "[cli][inputs]") {
  const FedWorld world;
  world.Write("rows.jsonl", Adds(2));
  // With fewer the program's own libraries cannot be opened.
  for (const char* most : {"6", "8", "10", "12", "16"}) {
    const CommandResult run =
        RunShell(world, "ulimit -n " + std::string(most) +
                            "; exec \"$0\" run -q -m counter -w \"$1\" -e "
                            "\"$1/../rows.jsonl\"");
    CAPTURE(most, run.err, run.code);
    CHECK_THAT(run.err, !Contains("o space"));
    CHECK((run.code == 0 || run.code == 9 || run.code == 10 || run.code == 8));
  }
}

TEST_CASE("trial 19: a carriage return that ends no line is no row's end",
          "[cli][inputs]") {
  const FedWorld world;
  const auto feed = [&world](const std::string& text) {
    return world.Feed(world.Write("rows.csv", text),
                      {"--reducer", "counter", "--key", "counter"});
  };
  CheckRefused(feed("counter,add\rc,1\rc,2\r"), 7, "rows.csv:1: field 2");
  CheckRefused(feed("counter,add\nc,1\rc,2\n"), 7, "carriage return");
  CHECK(feed("counter,add\r\n\"c\rd\",1\r\n").code == 0);
}

TEST_CASE("trial 19: a pipe where a file belongs does not hang",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(2));
  REQUIRE(world.Feed(file).code == 0);
  for (const char* script :
       {"mkfifo \"$1/../p\"; exec \"$0\" policy check \"$1/../p\"",
        "mkfifo \"$1/../g\"; exec \"$0\" grant create \"$1\" \"$1/../g\" -m "
        "counter",
        "mkfifo \"$1/../m.so\"; exec \"$0\" verify \"$1\" -m \"$1/../m.so\"",
        "mkfifo \"$1/../j\"; exec \"$0\" verify -q \"$1\" --junit \"$1/../j\"",
        // Nobody writes, until the run is stopped.
        "mkfifo \"$1/../e.jsonl\"; exec timeout 5 \"$0\" run -q -m counter -w "
        "\"$1\" -e \"$1/../e.jsonl\"",
        "mv \"$1/HEAD\" \"$1/h\"; mkfifo \"$1/HEAD\"; exec \"$0\" digest "
        "\"$1\"",
        "exec \"$0\" run -q -m counter -w \"$1\" -e \"$1/../rows.jsonl\"",
        "mv \"$1/WORLD\" \"$1/v\"; mkfifo \"$1/WORLD\"; exec \"$0\" digest "
        "\"$1\""}) {
    const CommandResult result = RunShell(world, script);
    CAPTURE(script, result.err, result.code);
    CHECK(result.code != 0);
    CHECK(result.code < 128);
    CHECK(((result.code == 124) ==
           (std::string(script).find("timeout 5") != std::string::npos)));
    CHECK_FALSE(result.err.empty());
  }
}

TEST_CASE("trial 19: two signals together are one wish to stop",
          "[cli][inputs]") {
  const FedWorld world;
  // As timeout(1) sends them. Nobody writes, so the run waits for a second.
  const CommandResult run = RunShell(
      world,
      "mkfifo \"${1%/*}/e.jsonl\"; \"$0\" run -q -m counter -w \"$1\" -e "
      "\"${1%/*}/e.jsonl\" & sleep 5; kill $!; sleep 0.05; kill $!; wait $!");
  CHECK(run.code == 143);
  CHECK_THAT(run.err, Contains("the same command continues"));
}

// --- 21: files around a world ------------------------------------------------

TEST_CASE("trial 21: a world's parents are made with it", "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(2));
  const std::string deep = world / "a/b/c";
  CHECK(
      RunReenact({"run", "-m", "counter", "-w", deep + "/", "-e", file}).code ==
      0);
  CHECK(RunReenact({"verify", deep, "-m", "counter"}).code == 0);
  CheckRefused(
      RunReenact({"run", "-m", "counter", "-w", file + "/w", "-e", file}), 8,
      "rows.jsonl");
}

TEST_CASE(
    "trial 21: verify --junit writes its file also where it has no verdict",
    "[cli][inputs]") {
  const FedWorld world;
  const std::string junit = world / "verify.xml";
  const auto verify = [&junit](const std::string& path,
                               std::vector<std::string> more) {
    std::filesystem::remove(junit);
    more.insert(more.begin(), {"verify", path, "--junit", junit});
    const int code = RunReenact(std::move(more)).code;
    return std::to_string(code) + ReadWholeFile(junit);
  };
  CHECK_THAT(verify(world.path(), {}),
             StartsWith("8<?xml") && Contains("errors=\"1\"") &&
                 Contains("<error") && Contains(world.path()));
  const std::string file = world.Write("rows.jsonl", Adds(2));
  REQUIRE(world.Feed(file).code == 0);
  CHECK_THAT(verify(world.path(), {"-m", "no_such"}),
             StartsWith("10<?xml") && Contains("no_such"));
  CHECK_THAT(verify(world.path(), {"-m", "counter"}),
             StartsWith("0<?xml") && Contains("errors=\"0\" failures=\"0\""));
}

TEST_CASE("trial 21: what a module prints does not get into what is parsed",
          "[cli][inputs]") {
  const FedWorld world;
  const std::string file = world.Write("rows.jsonl", Adds(2));
  const std::string talking = REENACT_BINARY_DIR "/tests/modules/talking.so";
  const CommandResult run = RunReenact(
      {"run", "-m", talking, "-w", world.path(), "-e", file, "--json"});
  CAPTURE(run.out);
  CHECK(run.code == 0);
  CHECK(json::parse(run.out).at("rows") == 2);
  CHECK_THAT(run.err, Contains("registering\n") && Contains("adding 2\n"));
  const CommandResult verified =
      RunReenact({"verify", world.path(), "-m", talking, "--json"});
  // Printing in a step is a mistake, and said as one.
  CHECK(json::parse(verified.out).at("verdict") == "impure");
}

}  // namespace
}  // namespace reenact::tests
