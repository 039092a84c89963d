#include "bench/targets.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

namespace reenact::bench {
namespace {

Figure Seen(std::string id, std::vector<double> values) {
  Figure figure;
  figure.id = std::move(id);
  figure.values = std::move(values);
  return figure;
}

Target More(std::vector<std::string_view> figures) {
  return {"speed", 1.5, 1.8, "×", Better::kMore, std::move(figures), ""};
}

TEST_CASE("the verdict goes by the median", "[bench]") {
  const Target target = More({"a"});
  CHECK(Judge(target, {Seen("a", {1.0, 1.9, 9.0})}).verdict == Verdict::kAim);
  CHECK(Judge(target, {Seen("a", {1.8})}).verdict == Verdict::kAim);
  CHECK(Judge(target, {Seen("a", {1.7, 9.0, 0.1})}).verdict == Verdict::kMet);
  CHECK(Judge(target, {Seen("a", {1.5})}).verdict == Verdict::kMet);
  CHECK(Judge(target, {Seen("a", {1.4, 1.4, 9.0})}).verdict ==
        Verdict::kMissed);
}

TEST_CASE("where less is better, less is better", "[bench]") {
  const Target target{"p99", 5, 1, "ms", Better::kLess, {"a"}, ""};
  CHECK(Judge(target, {Seen("a", {0.9})}).verdict == Verdict::kAim);
  CHECK(Judge(target, {Seen("a", {4})}).verdict == Verdict::kMet);
  CHECK(Judge(target, {Seen("a", {6})}).verdict == Verdict::kMissed);
}

TEST_CASE("of several figures the worst counts", "[bench]") {
  const std::vector<Figure> figures = {Seen("a", {1.9}), Seen("b", {1.6}),
                                       Seen("c", {1.7})};
  const Judged judged = Judge(More({"a", "b", "c"}), figures);
  CHECK(judged.verdict == Verdict::kMet);
  CHECK(judged.seen == 1.6);
  CHECK(judged.figure == &figures[1]);
  CHECK_FALSE(judged.partly);

  Target less = More({"a", "b", "c"});
  less.better = Better::kLess;
  CHECK(Judge(less, figures).seen == 1.9);
}

TEST_CASE("what was not measured is no failure and no success", "[bench]") {
  const Judged none = Judge(More({"a", "b"}), {Seen("z", {9})});
  CHECK(none.verdict == Verdict::kNotMeasured);
  CHECK_FALSE(none.seen.has_value());
  CHECK_FALSE(none.partly);

  const Judged one = Judge(More({"a", "b"}), {Seen("b", {1.9})});
  CHECK(one.verdict == Verdict::kAim);
  CHECK(one.partly);
}

TEST_CASE("every target asks for more at the aim than at least", "[bench]") {
  for (const Target& target : AllTargets()) {
    CAPTURE(std::string(target.measure));
    if (target.better == Better::kLess) {
      CHECK(target.aim < target.at_least);
    } else {
      CHECK(target.aim > target.at_least);
    }
    CHECK_FALSE(target.figures.empty());
    CHECK_FALSE(target.how.empty());
  }
}

TEST_CASE("a figure has one target at most, and knows it", "[bench]") {
  std::set<std::string_view> seen;
  for (const Target& target : AllTargets()) {
    for (const std::string_view id : target.figures) {
      CAPTURE(std::string(id));
      CHECK(seen.insert(id).second);
      CHECK(TargetOf(id) == &target);
    }
  }
  CHECK(TargetOf("parallel.memory.zipf.1us.2") == nullptr);
}

}  // namespace
}  // namespace reenact::bench
