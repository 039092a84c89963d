// What may come into a world from outside: the one rule for rows of a file,
// messages in an inbox, and calls of a program. (To a call, a reducer that is
// not there is World's NotFound, instead of CheckReducer()'s InvalidArgument.)

#ifndef REENACT_KERNEL_AUTHORITY_ADMISSION_H_
#define REENACT_KERNEL_AUTHORITY_ADMISSION_H_

#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"

namespace reenact {

// OK, or InvalidArgument with what is wrong and what would be right: sizes of
// key, payload and submission id, UTF-8, the priority, the schema that is
// reserved for answers, and a payload that is no canonical item. Whether there
// is such a reducer is CheckReducer()'s to say.
absl::Status CheckAdmissible(const Input& input, const Limits& limits);

// The sizes alone, for what was read as an entry, which holds the rest.
absl::Status CheckEventSizes(std::string_view key, BytesView payload,
                             const Limits& limits);

// OK, or InvalidArgument: the table has no such reducer.
absl::Status CheckReducer(std::string_view reducer,
                          const std::vector<std::string>& table);

// Both, for a row or a message.
absl::Status CheckAdmissible(const Input& input, const WorldConfig& config);

}  // namespace reenact

#endif  // REENACT_KERNEL_AUTHORITY_ADMISSION_H_
