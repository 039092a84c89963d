// What the functions in watched_calls.cc ask: whether it is a step that calls.

#ifndef REENACT_TOOLS_REENACT_PROBE_CALL_H_
#define REENACT_TOOLS_REENACT_PROBE_CALL_H_

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REENACT_NO_PROBES
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define REENACT_NO_PROBES
#endif
#endif

namespace reenact::tools {

enum class ProbeKind {
  kAsks,  // what comes back may be another thing next time
  kActs,  // something outside is another thing afterwards
};

// Takes note if a module's step called; true if it shall get another answer
// than before. Leaves errno as it is. `caller` is where the probe returns to.
bool ProbeCalled(const char* function, ProbeKind kind, const void* caller);

// Whether this thread runs a step for the second time.
bool InSecondRun();

// While it lives, what this thread calls is not the step's doing.
class ProbePause {
 public:
  ProbePause();
  ~ProbePause();
  ProbePause(const ProbePause&) = delete;
  ProbePause& operator=(const ProbePause&) = delete;

 private:
  const bool was_;
};

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_PROBE_CALL_H_
