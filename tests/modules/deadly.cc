// Does to its process, where it should add 13, what the environment variable
// REENACT_DEATH said when the module was loaded.

#include <csignal>
#include <cstdlib>
#include <string>

#include "tests/modules/counter_like.h"

namespace {

// Each turn holds a page of the stack.
__attribute__((noinline)) int Deeper(int depth) {
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return depth < 0 ? page[0] : Deeper(depth + 1) + page[0];
}

void Die(const std::string& how) {
  if (how == "SIGSEGV") std::raise(SIGSEGV);
  if (how == "abort()") std::abort();
  if (how == "stack overflow") std::exit(Deeper(0) == 1 ? 4 : 5);
  if (how == "exit(0)") std::exit(0);
  static volatile bool never = false;
  while (how == "a loop" && !never) continue;
}

}  // namespace

REENACT_MODULE(registry) {
  const char* const death = std::getenv("REENACT_DEATH");
  const std::string how = death == nullptr ? "" : death;
  reenact::tests::RegisterCounterLike(
      registry, [how](std::int64_t before, std::int64_t add) {
        if (add == 13) Die(how);
        return before + add;
      });
}
