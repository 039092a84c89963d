#include "reenact/committer/committer.h"

namespace reenact {

void Committer::CountFailure(FailureCode code) {
  ++counts_.failed;
  ++counts_.failures[code];
}

}  // namespace reenact
