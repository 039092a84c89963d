// The result as lines of text.

#ifndef REENACT_BENCH_TABLE_H_
#define REENACT_BENCH_TABLE_H_

#include <string>
#include <string_view>
#include <vector>

#include "bench/figure.h"
#include "bench/measure.h"

namespace reenact::bench {

// Each ends with a newline.
std::string TableHeading(std::string_view section);
std::string TableLine(const Figure& figure);
std::string TargetsTable(const std::vector<Figure>& figures);
std::string MachineText(const Machine& machine);

// `text` with spaces behind it (before it: negative) up to `width` characters,
// not bytes.
std::string Padded(std::string_view text, int width);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_TABLE_H_
