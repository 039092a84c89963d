#include "workload.h"

#include "tpcc.h"
#include "transfers.h"
#include "ycsb.h"

namespace reenact::bench {

std::vector<std::unique_ptr<Workload>> AllWorkloads(bool quick) {
  std::vector<std::unique_ptr<Workload>> all;
  const std::uint32_t records = quick ? 500 : 100'000;
  all.push_back(NewYcsb({.records = records, .zipf_tenths = 0}));
  all.push_back(NewYcsb({.records = records, .zipf_tenths = 9}));
  all.push_back(NewTpcc(
      quick ? TpccOptions{.warehouses = 2, .items = 200, .customers = 30}
            : TpccOptions{}));
  for (std::uint32_t accounts : {2U, 10U, 100U, 1'000U, 10'000U}) {
    if (!quick || accounts <= 100) all.push_back(NewTransfers(accounts));
  }
  return all;
}

}  // namespace reenact::bench
