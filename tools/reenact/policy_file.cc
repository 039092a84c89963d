#include "tools/reenact/policy_file.h"

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "tools/reenact/input_file.h"
#include "tools/reenact/json.h"

namespace reenact::tools {
namespace {

// Everything that is in it, to be looked at in its buffer.
absl::StatusOr<std::string_view> ReadAll(InputFile& file) {
  while (true) {
    if (file.buffered().size() > kPolicyFileBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("larger than ", kPolicyFileBytesMax, " bytes"));
    }
    REENACT_ASSIGN_OR_RETURN(const bool more, file.FetchMore());
    if (!more) return file.buffered();
  }
}

absl::StatusOr<Policy> ParsePolicy(std::string_view text) {
  REENACT_ASSIGN_OR_RETURN(const cbor::Value document,
                           ParseJsonWithComments(text));
  return Policy::Parse(document);
}

}  // namespace

absl::StatusOr<Policy> ReadPolicyFile(const std::string& path) {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<InputFile> file,
                           InputFile::Open(path));
  const auto text = ReadAll(*file);
  if (!text.ok()) {
    const bool named = !absl::IsInvalidArgument(text.status());
    return named ? text.status() : Annotate(text.status(), file->name());
  }
  auto policy = ParsePolicy(*text);
  if (!policy.ok()) return Annotate(policy.status(), file->name());
  return policy;
}

}  // namespace reenact::tools
