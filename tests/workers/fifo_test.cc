#include "reenact/workers/fifo.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <vector>

namespace reenact {
namespace {

TEST_CASE("fifo: what goes in comes out in order, whatever wraps around") {
  Fifo<int> fifo;
  std::deque<int> model;
  int next = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round % 37; ++i) {
      fifo.push_back(next);
      model.push_back(next++);
    }
    for (int i = 0; i < round % 31 && !model.empty(); ++i) {
      REQUIRE(fifo.front() == model.front());
      fifo.pop_front();
      model.pop_front();
    }
    REQUIRE(fifo.size() == model.size());
    std::vector<int> seen;
    fifo.ForEach([&seen](int element) { seen.push_back(element); });
    REQUIRE(std::equal(seen.begin(), seen.end(), model.begin(), model.end()));
  }
  CHECK(next > 64);  // it has grown, with its front anywhere
}

TEST_CASE("fifo: an element that has left lets go of what it held") {
  Fifo<std::shared_ptr<int>> fifo;
  auto held = std::make_shared<int>(1);
  fifo.push_back(held);
  CHECK(held.use_count() == 2);
  fifo.pop_front();
  CHECK(held.use_count() == 1);
  CHECK(fifo.empty());
}

}  // namespace
}  // namespace reenact
