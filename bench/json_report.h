#ifndef REENACT_BENCH_JSON_REPORT_H_
#define REENACT_BENCH_JSON_REPORT_H_

#include <string>

#include "bench/bench.h"

namespace reenact::bench {

// The results as one JSON object:
//
//   {"machine": {...}, "settings": {...}, "stopped": false,
//    "targets": [{"measure", "at_least", "aim", "seen", "unit", "verdict",
//                 "less_is_better", "figures": [...]}, ...],
//    "figures": [{"id", "section", "name", "unit", "median", "lowest",
//                 "highest", "lower_quartile", "upper_quartile", "values",
//                 "cpu_median", "cpu_values", "notes": {...}}, ...],
//    "curves": [{"section", "name", "x_label", "y_label", "points"}, ...]}
std::string JsonReport(const Results& results);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_JSON_REPORT_H_
