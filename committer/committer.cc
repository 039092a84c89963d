#include "reenact/committer/committer.h"

#include "reenact/base/test_points.h"

namespace reenact {

void Committer::CountFailure(FailureCode code) {
  REENACT_PROBE("committer: a step has failed");
  ++counts_.failed;
  ++counts_.failures[code];
}

}  // namespace reenact
