#include "reenact/kernel/module.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "reenact/world/load_module.h"
#include "tests/kernel/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

const std::string kDirectory = REENACT_TEST_MODULES;

absl::Status LoadError(const std::string& name) {
  return LoadModule(name, {kDirectory}).status();
}

// That the module is refused, with its path and `why`.
void RequireRefused(const std::string& name, const std::string& why) {
  const absl::Status status = LoadError(name);
  CAPTURE(name, status);
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE_THAT(std::string(status.message()),
               Catch::StartsWith(kDirectory + "/" + name + ".so: "));
  REQUIRE_THAT(std::string(status.message()), Catch::Contains(why));
}

std::shared_ptr<const Reducer> Nothing(std::string name) {
  return MakeReducer(std::move(name),
                     [](StepContext&) { return absl::OkStatus(); });
}

TEST_CASE("a module brings its reducers, sorted, and its file's digest",
          "[kernel]") {
  const auto module = LoadModule("good", {"/nonexistent", kDirectory});
  REQUIRE_OK(module);
  REQUIRE(module->record.name == "good");
  REQUIRE(module->record.version == "1.0.0");
  REQUIRE(module->record.reducers ==
          std::vector<std::string>{"first", "second"});
  REQUIRE(module->reducers.at(0)->name() == "first");
  REQUIRE(module->reducers.at(1)->name() == "second");
  REQUIRE(module->mapper(cbor::Value()).value().size() == 1);

  std::ifstream file(kDirectory + "/good.so", std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  REQUIRE(module->record.digest == Hash(bytes.str()));
}

TEST_CASE("a module loads by path as by name, and again", "[kernel]") {
  const auto by_name = LoadModule("good", {kDirectory});
  const auto by_path = LoadModule(kDirectory + "/good.so", {});
  REQUIRE_OK(by_name);
  REQUIRE_OK(by_path);
  REQUIRE(by_path->record == by_name->record);
}

TEST_CASE("a module that is not there is not found, and where is said",
          "[kernel]") {
  REQUIRE(LoadModule("absent", {"/a", "/b"}).status() ==
          absl::NotFoundError("absent: no such module in /a, /b"));
  REQUIRE(LoadModule("absent", {}).status() ==
          absl::NotFoundError("absent: no such module in no directory"));
  REQUIRE(LoadModule("/a/absent.so", {}).status() ==
          absl::NotFoundError("/a/absent.so: no such file"));
  REQUIRE(LoadModule(kDirectory + "/", {}).status().code() ==
          absl::StatusCode::kNotFound);
  REQUIRE(LoadModule("", {kDirectory}).status().code() ==
          absl::StatusCode::kInvalidArgument);
}

TEST_CASE("what is no module, or a wrong one, is refused with the reason",
          "[kernel]") {
  RequireRefused("bad_no_symbol", "reenact_module_abi");
  RequireRefused("bad_abi", "built for module interface 4, this program has 3");
  RequireRefused("bad_throws", "throws: out of luck");
  RequireRefused("bad_empty", "registers nothing");
  RequireRefused("bad_unnamed", "sets no name");
  RequireRefused("bad_duplicate", "reducer name one is there twice");
  RequireRefused("bad_name", "reducer name \"one two\" is not 1 to 64");
  RequireRefused("bad_two_names", "sets its name twice");
  RequireRefused("bad_null", "a reducer that is null");
}

TEST_CASE("a file that is no library is refused", "[kernel]") {
  const auto path =
      std::filesystem::temp_directory_path() / "reenact_module_test.so";
  std::ofstream(path) << "#!/bin/sh\n";
  const absl::Status status = LoadModule(path.string(), {}).status();
  std::filesystem::remove(path);
  REQUIRE(status.code() == absl::StatusCode::kInvalidArgument);
  REQUIRE_THAT(std::string(status.message()), Catch::Contains("no module"));
}

TEST_CASE("a module of the program itself is digested by its names",
          "[kernel]") {
  const auto module = MakeModule("own", "1", {Nothing("b"), Nothing("a")});
  const auto same = MakeModule("own", "1", {Nothing("a"), Nothing("b")});
  const auto other = MakeModule("own", "2", {Nothing("a"), Nothing("b")});
  REQUIRE_OK(module);
  REQUIRE(module->record.reducers == std::vector<std::string>{"a", "b"});
  REQUIRE(module->record == same->record);
  REQUIRE_FALSE(module->record.digest == other->record.digest);
  REQUIRE(module->path.empty());
  REQUIRE_FALSE(module->mapper);

  REQUIRE_FALSE(MakeModule("own", "1", {Nothing("a"), Nothing("a")}).ok());
  REQUIRE_FALSE(MakeModule("own", "1", {Nothing("")}).ok());
  REQUIRE_FALSE(MakeModule("", "1", {Nothing("a")}).ok());
  REQUIRE_FALSE(MakeModule("own", "\xff", {Nothing("a")}).ok());
}

}  // namespace
}  // namespace reenact
