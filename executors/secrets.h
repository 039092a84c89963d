// Secrets by reference: what history holds is a name, what an executor gets is
// the value.

#ifndef REENACT_EXECUTORS_SECRETS_H_
#define REENACT_EXECUTORS_SECRETS_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "reenact/base/status.h"

namespace reenact {

// Resolves references at dispatch. A parameter that may hold a secret may be,
// or contain, "${secret:NAME}"; executors say which of theirs may.
//
// A value is never recorded, logged, or part of an error: what an executor says
// about a request it says about the text with references.
//
// Thread safety: any thread.
class Secrets {
 public:
  // NotFound: there is no such secret; the message has the name.
  using Resolve =
      std::function<absl::StatusOr<std::string>(std::string_view name)>;

  Secrets();  // none
  explicit Secrets(Resolve resolve);

  // Reads the file DIRECTORY/NAME at each use, without one final newline. NAME
  // is letters, digits, '.', '_' and '-', not beginning with '.'. The directory
  // must not be open to others (mode & 077), nor be inside a world's.
  static absl::StatusOr<Secrets> FromDirectory(std::string directory);
  // The variable PREFIX + NAME of the environment.
  static Secrets FromEnvironment(std::string prefix);

  // `text` with its references replaced. "$${" stands for "${".
  // NotFound: as above. InvalidArgument: a reference that does not end, or a
  // value of less than 8 bytes: what is that short is found in what has nothing
  // to do with it.
  absl::StatusOr<std::string> Expand(std::string_view text) const;
  // Whether there is anything to replace.
  static bool HasReference(std::string_view text);
  // `text` with every value that Expand() has handed out so far replaced by
  // its reference, however it was written down: for what comes back
  // from outside and goes on record.
  std::string Redact(std::string_view text) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_SECRETS_H_
