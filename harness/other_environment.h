// What a step may see of its process without asking anybody, for the process
// that is to see something else.

#ifndef REENACT_HARNESS_OTHER_ENVIRONMENT_H_
#define REENACT_HARNESS_OTHER_ENVIRONMENT_H_

#include <stdlib.h>
#include <sys/personality.h>

#include <cstring>
#include <string>

namespace reenact {

// Between fork() and exec(): another time zone, locale and environment; code,
// stack and heap lie elsewhere after the exec(), and memory from the heap is
// filled. The directory is for the new program to leave, once it has found what
// it was told to read.
inline void BecomeAnother() {
  setenv("TZ", "REENACT-13:30", 1);
  const char* const locale = getenv("LC_ALL");
  const bool is_c = locale == nullptr || std::strcmp(locale, "C.UTF-8") != 0;
  setenv("LC_ALL", is_c ? "C.UTF-8" : "C", 1);
  setenv("HOME", "/nowhere", 1);
  setenv("HOSTNAME", "elsewhere", 1);
  setenv("USER", "somebody", 1);
  // What is above the stack moves it.
  setenv("REENACT_OTHER_PROCESS", std::string(12'345, '.').c_str(), 1);
  setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=165", 1);
  const int now = personality(0xffffffff);
  if (now >= 0) {
    (void)personality(static_cast<unsigned long>(now) & ~ADDR_NO_RANDOMIZE);
  }
}

}  // namespace reenact

#endif  // REENACT_HARNESS_OTHER_ENVIRONMENT_H_
