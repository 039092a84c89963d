#include "reenact/workers/pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>
#include <vector>

#include "reenact/base/mutex.h"

namespace reenact {
namespace {

// So many pieces of work, each to be done once.
class Pile final : public Crew {
 public:
  explicit Pile(int pieces) : left_(pieces) {}

  bool Work(std::size_t worker) override {
    if (left_.fetch_sub(1) <= 0) {
      left_.fetch_add(1);
      return false;
    }
    MutexLock lock(&mutex_);
    workers_.insert(worker);
    ++done_;
    return true;
  }
  bool Finished() override {
    MutexLock lock(&mutex_);
    return done_ == total_;
  }
  std::size_t Choices() override { return 3; }
  void Choose(std::size_t index) override {
    chosen.push_back(index);
    Work(0);
  }

  int done() {
    MutexLock lock(&mutex_);
    return done_;
  }
  std::set<std::size_t> workers() {
    MutexLock lock(&mutex_);
    return workers_;
  }
  std::vector<std::size_t> chosen;

 private:
  std::atomic<int> left_;
  const int total_ = left_;
  Mutex mutex_;
  std::set<std::size_t> workers_ ABSL_GUARDED_BY(mutex_);
  int done_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_CASE("the inline pool works on the caller's thread", "[workers]") {
  const auto pool = NewInlinePool();
  CHECK(pool->workers() == 0);
  Pile pile(100);
  pool->Drive(&pile);
  CHECK(pile.done() == 100);
  CHECK(pile.workers() == std::set<std::size_t>{0});
}

TEST_CASE("threads do all there is, drive after drive", "[workers]") {
  const std::size_t count = GENERATE(as<std::size_t>{}, 1, 2, 7);
  const auto pool = NewThreadPool(count);
  CHECK(pool->workers() == count);
  for (int drive = 0; drive < 50; ++drive) {
    Pile pile(200);
    pool->Drive(&pile);
    CHECK(pile.done() == 200);
    CHECK(*pile.workers().rbegin() < count);
  }
}

TEST_CASE("a shuffled pool's choices are those of its seed", "[workers]") {
  const auto choices = [](std::uint64_t seed) {
    Pile pile(50);
    NewShuffledPool(seed)->Drive(&pile);
    return pile.chosen;
  };
  CHECK(choices(1) == choices(1));
  CHECK(choices(1) != choices(2));
}

}  // namespace
}  // namespace reenact
