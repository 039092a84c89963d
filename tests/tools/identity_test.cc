// What tells worlds apart, through the command.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/journal/temporary_directory.h"
#include "tests/tools/command.h"

namespace reenact::tests {
namespace {

using Catch::Contains;
using nlohmann::json;

const std::string kAsks = REENACT_BINARY_DIR "/tests/modules/asks.so";

CommandResult RunAsks(const std::string& world, const std::string& rows,
                      std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"run", "-m", kAsks, "-w", world, "-e", "-", "-q",
                             "--clock", "rounds"});
  return RunReenact(std::move(more), rows);
}

void MustRunAsks(const std::string& world, const std::string& rows,
                 std::vector<std::string> more = {}) {
  const CommandResult result = RunAsks(world, rows, std::move(more));
  INFO(result.err);
  REQUIRE(result.code == 0);
}

json GenesisOf(const std::string& world) {
  const CommandResult log =
      RunReenact({"log", world, "--kind", "Genesis", "--json"});
  INFO(log.err);
  REQUIRE(log.code == 0);
  return json::parse(log.out);
}

std::string DigestOf(const std::string& world) {
  return RunReenact({"digest", world, "--json"}).out;
}

TEST_CASE("trial 01: worlds that are made alike have ids of their own",
          "[tools][trial]") {
  const TemporaryDirectory directory;
  const std::string one = directory / "one", other = directory / "other";
  MustRunAsks(one, "");
  MustRunAsks(other, "");
  const json first = GenesisOf(one), second = GenesisOf(other);
  INFO(first.dump() << second.dump());
  CHECK(first["world"]["$bytes"].get<std::string>().size() == 32);
  CHECK(first["world"] != second["world"]);
  CHECK(first["seed"] == second["seed"]);
}

TEST_CASE("trial 01: messages of two worlds to a third both arrive",
          "[tools][trial]") {
  const TemporaryDirectory directory;
  const std::string to = directory / "to";
  MustRunAsks(to, "");
  for (const std::string from : {"a", "b"}) {
    MustRunAsks(
        directory / from,
        R"({"key": "k", "kind": "message.send", "params": {"to": "to", )"
        R"("reducer": "asker", "key": "heard", )"
        R"("payload": {"from": ")" +
            from + "\"}}}\n",
        {"--with-executors", "--message", "to=" + to});
  }
  MustRunAsks(to, "", {"--with-executors"});
  const CommandResult heard =
      RunReenact({"state", to, "asker", "heard", "--json"});
  CHECK_THAT(heard.out, Contains(R"("from":"a")") && Contains(R"("from":"b")"));
}

TEST_CASE(
    "trial 01: with --reproducible or --world-id worlds are the same bytes",
    "[tools][trial]") {
  const TemporaryDirectory directory;
  const std::string row = R"({"key": "k", "kind": "x.y", "params": 1})"
                          "\n";
  const std::string id = "000102030405060708090a0b0c0d0e0f";
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--reproducible"},
        std::vector<std::string>{"--world-id", id}}) {
    CAPTURE(how);
    const std::string a = directory / ("a" + how[0]);
    const std::string b = directory / ("b" + how[0]);
    MustRunAsks(a, row, how);
    MustRunAsks(b, row, how);
    CHECK(DigestOf(a) == DigestOf(b));
    MustRunAsks(a, row, how);  // goes on
  }
  CHECK(GenesisOf(directory / "a--world-id")["world"]["$bytes"] == id);
  CHECK(DigestOf(directory / "a--world-id") !=
        DigestOf(directory / "a--reproducible"));
}

TEST_CASE("trial 01: a world keeps its id and its seed", "[tools][trial]") {
  const TemporaryDirectory directory;
  const std::string world = directory / "w";
  MustRunAsks(world, "", {"--seed", "0"});
  const json before = GenesisOf(world);
  MustRunAsks(world, "");
  MustRunAsks(world, "", {"--seed", "0"});
  MustRunAsks(world, "", {"--world-id", before["world"]["$bytes"]});
  const auto refused = [&](std::vector<std::string> more,
                           const std::string& what) {
    const CommandResult result = RunAsks(world, "", more);
    CAPTURE(more);
    CHECK(result.code == 8);
    CHECK_THAT(result.err, Contains(what));
  };
  refused({"--seed", "1"}, "another --seed");
  refused({"--reproducible"}, "its id is");
  refused({"--world-id", std::string(32, '0')}, "its id is");
  CHECK(GenesisOf(world) == before);
}

TEST_CASE("trial 01: an id that makes no sense is a usage error",
          "[tools][trial]") {
  const TemporaryDirectory directory;
  const std::string world = directory / "w";
  const std::string id(32, 'a');
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{
           {"--world-id", ""},
           {"--world-id", "12"},
           {"--world-id", std::string(32, 'g')},
           {"--world-id", id, "--reproducible"},
           {"--reproducible", "--seed", "random"}}) {
    CAPTURE(wrong);
    CHECK(RunAsks(world, "", wrong).code == 2);
  }
  CHECK_FALSE(std::filesystem::exists(world));
}

}  // namespace
}  // namespace reenact::tests
