#include "tools/reenact/policy_file.h"

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tools/reenact/input_file.h"
#include "tools/reenact/json.h"

namespace reenact::tools {
namespace {

absl::StatusOr<Policy> ParsePolicy(std::string_view text) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value document,
                           ParseJsonWithComments(text));
  return Policy::Parse(document);
}

}  // namespace

absl::StatusOr<Policy> ReadPolicyFile(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const Bytes text,
                           InputFile::ReadAll(path, kPolicyFileBytesMax));
  auto policy = ParsePolicy(text);
  if (!policy.ok()) {
    return Annotate(policy.status(), path == "-" ? "stdin" : path);
  }
  return policy;
}

}  // namespace reenact::tools
