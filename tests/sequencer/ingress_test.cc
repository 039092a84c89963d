#include "reenact/world/ingress.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

// The next item, taken out for good.
template <typename Item>
std::optional<Item> Take(Ingress<Item>& ingress) {
  Item* const item = ingress.Take();
  if (item == nullptr) return std::nullopt;
  return std::optional<Item>(std::move(*item));
}

TEST_CASE("what goes into the ingress comes out in order", "[ingress]") {
  Ingress<std::string> ingress(3);
  CHECK(ingress.empty());
  CHECK(Take(ingress) == std::nullopt);
  REQUIRE_OK(ingress.Offer("first"));
  REQUIRE_OK(ingress.Offer("second"));
  CHECK(ingress.size() == 2);
  CHECK(Take(ingress) == "first");
  CHECK(Take(ingress) == "second");
  CHECK(Take(ingress) == std::nullopt);
}

TEST_CASE("a full ingress refuses and keeps what it has", "[ingress]") {
  Ingress<std::string> ingress(2);
  REQUIRE_OK(ingress.Offer("first"));
  REQUIRE_OK(ingress.Offer("second"));
  CHECK(absl::IsResourceExhausted(ingress.Offer("third")));
  CHECK(ingress.size() == 2);

  CHECK(Take(ingress) == "first");
  REQUIRE_OK(ingress.Offer("fourth"));
  CHECK(Take(ingress) == "second");
  CHECK(Take(ingress) == "fourth");
  CHECK(ingress.empty());
}

TEST_CASE(
    "an ingress makes room with each item that is taken, not with a batch",
    "[ingress]") {
  Ingress<int> ingress(3);
  for (const int item : {1, 2, 3}) REQUIRE_OK(ingress.Offer(item));
  CHECK(Take(ingress) == 1);  // and behind the scenes, all three
  CHECK(ingress.size() == 2);
  REQUIRE_OK(ingress.Offer(4));
  CHECK(absl::IsResourceExhausted(ingress.Offer(5)));
  CHECK(ingress.size() == 3);

  for (const int item : {2, 3, 4}) CHECK(Take(ingress) == item);
  CHECK(ingress.empty());
  CHECK(Take(ingress) == std::nullopt);
  for (const int item : {6, 7, 8}) REQUIRE_OK(ingress.Offer(item));
  CHECK(absl::IsResourceExhausted(ingress.Offer(9)));
}

TEST_CASE("what nobody takes out of the ingress goes with it", "[ingress]") {
  const auto item = std::make_shared<int>(7);
  {
    Ingress<std::shared_ptr<int>> ingress(3);
    for (int i = 0; i < 2; ++i) REQUIRE_OK(ingress.Offer(item));
    CHECK(**ingress.Take() == 7);
    REQUIRE_OK(ingress.Offer(item));
    CHECK(item.use_count() == 4);
  }
  CHECK(item.use_count() == 1);
}

TEST_CASE("an ingress of no capacity refuses everything", "[ingress]") {
  Ingress<int> ingress(0);
  CHECK(absl::IsResourceExhausted(ingress.Offer(1)));
  CHECK(ingress.empty());
}

TEST_CASE("a closed ingress refuses, full or not, and can be emptied",
          "[ingress]") {
  Ingress<std::string> ingress(1);
  REQUIRE_OK(ingress.Offer("before"));
  ingress.Close();
  CHECK(absl::IsFailedPrecondition(ingress.Offer("after")));
  CHECK(Take(ingress) == "before");
  CHECK(absl::IsFailedPrecondition(ingress.Offer("after")));
  CHECK(Take(ingress) == std::nullopt);
}

TEST_CASE("an ingress takes items that only move", "[ingress]") {
  Ingress<std::unique_ptr<int>> ingress(1);
  REQUIRE_OK(ingress.Offer(std::make_unique<int>(7)));
  std::optional<std::unique_ptr<int>> item = Take(ingress);
  REQUIRE(item.has_value());
  CHECK(**item == 7);
}

TEST_CASE("many threads lose nothing, double nothing, keep their own order",
          "[ingress]") {
  constexpr int kThreads = 4;
  constexpr int kItems = 5'000;
  struct Item {
    int thread;
    int number;
  };
  Ingress<Item> ingress(64);

  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&ingress, thread] {
      for (int number = 0; number < kItems; ++number) {
        while (!ingress.Offer({thread, number}).ok()) {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<int> next(kThreads, 0);
  bool in_order = true;
  for (int taken = 0; taken < kThreads * kItems;) {
    const std::optional<Item> item = Take(ingress);
    if (!item.has_value()) {
      std::this_thread::yield();
      continue;
    }
    ++taken;
    int& expected = next[static_cast<std::size_t>(item->thread)];
    in_order = in_order && item->number == expected;
    ++expected;
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(in_order);
  CHECK(next == std::vector<int>(kThreads, kItems));
  CHECK(ingress.empty());
}

TEST_CASE("closing while others offer: what was accepted is inside",
          "[ingress]") {
  constexpr int kThreads = 3;
  Ingress<int> ingress(1'000'000);
  std::vector<std::size_t> accepted(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&ingress, &count = accepted[thread]] {
      while (ingress.Offer(1).ok()) ++count;
    });
  }
  while (ingress.size() < 1'000) std::this_thread::yield();
  ingress.Close();
  for (std::thread& thread : threads) thread.join();
  std::size_t total = 0;
  for (const std::size_t count : accepted) total += count;
  CHECK(ingress.size() == total);
}

}  // namespace
}  // namespace reenact
