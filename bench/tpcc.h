// NewOrder and Payment of TPC-C (TPC Benchmark C, Standard Specification,
// revision 5.11; clause numbers below are its), half of the transactions each.
//
// Cells. A table's row is a cell of a reducer of its own, under the row's
// primary key: "0002/07/0042" is customer 42 of district 7 of warehouse 2.
// Columns that change stand apart from columns that do not:
//
//   tpcc.warehouse    name, tax            tpcc.warehouse-ytd   W_YTD
//   tpcc.district     name, tax            tpcc.district-ytd    D_YTD
//   tpcc.next-order   D_NEXT_O_ID          tpcc.last-name       an index: those
//                                          customers of a district, by first
//                                          name
//   tpcc.customer     name, credit,        tpcc.account         balance, year
//   to
//                     discount                                  date, count
//   tpcc.item         a row                tpcc.customer-data   C_DATA
//   tpcc.stock-info   S_DIST_xx, S_DATA    tpcc.stock           quantity, year
//                                                               to date, counts
//   tpcc.order        a row                tpcc.order-lines     of one order
//   tpcc.new-order    a row                tpcc.history         a row
//
// A NewOrder is one step of the district's tpcc.next-order. It declares, from
// its event, the rows that it reads and the stock that it changes; the rows of
// the order that it inserts are new ones, under a number that it reads, and are
// not declared. One of a hundred asks for an item that is not there and fails
// as a whole (2.4.1.4).
//
// A Payment is one step of its new tpcc.history. W_YTD and D_YTD are updates
// that commute, so payments of a warehouse do not wait for each other. The
// account is declared where the event has the number; where it has a last name
// (60 %, 2.5.1.2), the index is, and the account is an undeclared read and
// write. C_DATA changes with bad credit only, and is never declared.
//
// What is not as the specification has it: no terminals, no think times, no
// other transactions; customers and stock lack the columns that these two
// neither compute with nor copy (addresses, phones); and a new database has no
// orders and no history, so that all sums begin at 0 (4.3.3.1).

#ifndef REENACT_BENCH_TPCC_H_
#define REENACT_BENCH_TPCC_H_

#include <cstdint>
#include <memory>

#include "workload.h"

namespace reenact::bench {

// 4.3.3.1 has 100,000 items and 3,000 customers in each of the ten districts of
// a warehouse. Each is at least 1.
struct TpccOptions {
  std::int64_t warehouses = 4;
  std::int64_t items = 100'000;
  std::int64_t customers = 3'000;
};

// At the end the consistency conditions of 3.3.2 that say something about these
// tables must hold (1 to 4, 8, 9 and 12), stock must be down by what was
// ordered, and orders and payments must be as many as the inputs ask for.
std::unique_ptr<Workload> NewTpcc(const TpccOptions& options);

}  // namespace reenact::bench

#endif  // REENACT_BENCH_TPCC_H_
