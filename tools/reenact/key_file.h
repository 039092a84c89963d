// Keys that receipts are signed with, as people keep them: a file each.

#ifndef REENACT_TOOLS_REENACT_KEY_FILE_H_
#define REENACT_TOOLS_REENACT_KEY_FILE_H_

#include <string>

#include "reenact/base/status.h"
#include "reenact/kernel/effects/receipt.h"

namespace reenact::tools {

// Makes a file with a new key, which is a line of 64 hexadecimal digits, for
// its owner only. AlreadyExists: there is a file. Others: as the system says.
absl::Status MakeKeyFile(const std::string& path);

// InvalidArgument: it has something else in it. FailedPrecondition: others can
// read it. NotFound: there is none.
absl::StatusOr<SecretKey> ReadKeyFile(const std::string& path);

// As policies have it: 64 hexadecimal digits.
std::string PublicKeyText(const SecretKey& key);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_KEY_FILE_H_
