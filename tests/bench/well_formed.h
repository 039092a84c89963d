#ifndef REENACT_TESTS_BENCH_WELL_FORMED_H_
#define REENACT_TESTS_BENCH_WELL_FORMED_H_

#include <string>
#include <string_view>

namespace reenact::tests {

// What keeps `text` from being well-formed XML with one root, in words; empty:
// nothing. Knows elements, attributes, the five named entities and numbered
// ones, and a doctype: what our pages consist of.
std::string NotWellFormed(std::string_view text);

}  // namespace reenact::tests

#endif  // REENACT_TESTS_BENCH_WELL_FORMED_H_
