// Where a URL leads.

#ifndef REENACT_EXECUTORS_HTTP_URL_H_
#define REENACT_EXECUTORS_HTTP_URL_H_

#include <string_view>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/predicate.h"

namespace reenact {

// What ParsePlainUrl() makes of `url`, which is what grants and policies judge
// it by, if libcurl, which is going to ask, makes the same of it: the scheme,
// host and port, and the path and query letter by letter. So what is contacted
// is what was judged.
//
// InvalidArgument: it is no plain URL, or libcurl reads it otherwise
// ("/a/../b", which it would ask for as "/b"), or there is a reference to a
// secret before the path. The message does not hold the URL.
absl::StatusOr<PlainUrl> ParseHttpUrl(std::string_view url);

}  // namespace reenact

#endif  // REENACT_EXECUTORS_HTTP_URL_H_
