// The modules of this folder do what they were made for: those that catch them
// are tested elsewhere.

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "reenact/kernel/module.h"
#include "reenact/world/load_module.h"
#include "tests/support/status_matchers.h"
#include "tests/support/step_double.h"

namespace reenact {
namespace {

const std::string kModules = REENACT_BINARY_DIR "/tests/modules/";
const std::string kExamples = REENACT_BINARY_DIR "/lib/reenact/";

Module Load(const std::string& path) {
  absl::StatusOr<Module> module = LoadModule(path, {});
  REQUIRE_OK(module);
  return *std::move(module);
}

// What a step of ticket 1 leaves in the cell, run anew each time.
Bytes StateAfterOneStep(const Module& module) {
  SerialDouble world(module.reducers);
  REQUIRE_OK(world.Step({"counter", "clicks", "", cbor::EncodeInteger(5)}));
  return world.cells.at({"counter", "clicks"});
}

std::set<Bytes> StatesAfterOneStep(const Module& module, int runs) {
  std::set<Bytes> states;
  for (int i = 0; i < runs; ++i) states.insert(StateAfterOneStep(module));
  return states;
}

TEST_CASE("every example is a module", "[modules]") {
  const auto [name, reducers] =
      GENERATE(table<std::string, std::vector<std::string>>(
          {{"counter", {"counter"}},
           {"bank", {"bank.declared", "bank.events", "bank.undeclared"}},
           {"cases", {"activity", "case", "resource"}},
           {"packages", {"package"}}}));
  CAPTURE(name);
  const absl::StatusOr<Module> module = LoadModule(name, {kExamples});
  REQUIRE_OK(module);
  REQUIRE(module->record.name == name);
  REQUIRE(module->record.version == "1.0.0");
  REQUIRE(module->record.reducers == reducers);
  REQUIRE(module->mapper != nullptr);
}

TEST_CASE("a counter that breaks a rule looks like the counter", "[modules]") {
  const Module counter = Load(kExamples + "counter.so");
  const std::string name = GENERATE(
      as<std::string>(), "counter_changed", "impure_clock", "impure_getenv",
      "impure_rand", "impure_static", "impure_unordered");
  CAPTURE(name);
  const Module other = Load(kModules + name + ".so");
  REQUIRE(other.record.name == counter.record.name);
  REQUIRE(other.record.version == counter.record.version);
  REQUIRE(other.record.reducers == counter.record.reducers);
  REQUIRE(other.record.digest != counter.record.digest);

  const auto row = cbor::Value::Map({{"counter", "clicks"}, {"add", 5}});
  const auto expected = counter.mapper(row);
  const auto mapped = other.mapper(row);
  REQUIRE_OK(expected);
  REQUIRE_OK(mapped);
  REQUIRE(*mapped == *expected);
}

TEST_CASE("the changed counter is pure, and wrong by one", "[modules]") {
  const Module counter = Load(kExamples + "counter.so");
  const Module changed = Load(kModules + "counter_changed.so");
  REQUIRE(StatesAfterOneStep(counter, 5) ==
          std::set<Bytes>{cbor::EncodeInteger(5)});
  REQUIRE(StatesAfterOneStep(changed, 5) ==
          std::set<Bytes>{cbor::EncodeInteger(6)});
}

TEST_CASE("an impure step differs when it is run again", "[modules]") {
  const std::string name =
      GENERATE(as<std::string>(), "impure_clock", "impure_rand",
               "impure_static", "impure_unordered");
  CAPTURE(name);
  REQUIRE(StatesAfterOneStep(Load(kModules + name + ".so"), 20).size() > 1);
}

TEST_CASE("a step that asks the environment differs with it", "[modules]") {
  const Module module = Load(kModules + "impure_getenv.so");
  REQUIRE(unsetenv("REENACT_IMPURE") == 0);
  REQUIRE(StatesAfterOneStep(module, 5) ==
          std::set<Bytes>{cbor::EncodeInteger(5)});
  REQUIRE(setenv("REENACT_IMPURE", "abc", 1) == 0);
  REQUIRE(StatesAfterOneStep(module, 5) ==
          std::set<Bytes>{cbor::EncodeInteger(8)});
  REQUIRE(unsetenv("REENACT_IMPURE") == 0);
}

}  // namespace
}  // namespace reenact
