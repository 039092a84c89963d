// Between CBOR, which is what worlds hold, and JSON, which is what people and
// scripts have.

#ifndef REENACT_TOOLS_REENACT_JSON_H_
#define REENACT_TOOLS_REENACT_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact::tools {

// Members stay in the order they were added in.
using Json = nlohmann::ordered_json;

// One JSON text as a CBOR item. Integers stay integers, other numbers become
// doubles ("1.0" and "1e2" too).
//
// InvalidArgument: not one JSON text; invalid UTF-8; an object that has a key
// twice; an integer that neither int64_t nor uint64_t holds; more than
// cbor::kDepthMax levels. The message says what and at which byte.
absl::StatusOr<cbor::Value> ParseJson(std::string_view text);
// The same with comments as in C++, for files that people write.
absl::StatusOr<cbor::Value> ParseJsonWithComments(std::string_view text);

// A CBOR item as JSON. What JSON lacks becomes an object of one member:
//   byte string              {"$bytes": "<hex>"}
//   integer below int64_t    {"$integer": "-18446744073709551616"}
//   NaN, infinities          {"$double": "NaN" | "Infinity" | "-Infinity"}
//   map with other keys      {"$map": [[key, value], ...]}
//   something not canonical  {"$invalid": "<diagnostic notation>"}
Json ToJson(BytesView item);

// JSON made by ToJson(), or around it, in CBOR diagnostic notation: one line,
// spaces after ':' and ',', byte strings as h'00ff'.
std::string ToDiagnostic(const Json& json);

// Text of which nothing is known (an error message, a path) as a JSON string:
// bytes that are not UTF-8 become U+FFFD.
std::string Dump(const Json& json);

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_JSON_H_
