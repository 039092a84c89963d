#ifndef REENACT_BENCH_HTML_REPORT_H_
#define REENACT_BENCH_HTML_REPORT_H_

#include <string>

#include "bench/bench.h"

namespace reenact::bench {

// The results as one page that needs nothing else, neither network nor scripts:
// targets, plots, method, and every figure in a table. Well-formed XML, too.
std::string HtmlReport(const Results& results);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_HTML_REPORT_H_
