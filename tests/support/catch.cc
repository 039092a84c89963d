// Catch2 itself, which takes long to compile.

#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "tests/support/run_tests.h"

namespace reenact {

int RunTests(int argc, char** argv) { return Catch::Session().run(argc, argv); }

}  // namespace reenact
