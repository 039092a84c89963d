// Catch2's main(), for those who have another.

#ifndef REENACT_TESTS_SUPPORT_RUN_TESTS_H_
#define REENACT_TESTS_SUPPORT_RUN_TESTS_H_

namespace reenact {

// Returns the exit code.
int RunTests(int argc, char** argv);

}  // namespace reenact

#endif  // REENACT_TESTS_SUPPORT_RUN_TESTS_H_
