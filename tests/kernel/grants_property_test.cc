// Conservation over histories that nobody chose. A failure prints the seed with
// which RC_PARAMS repeats it.

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "reenact/kernel/authority/grants.h"
#include "tests/kernel/random_value.h"

namespace reenact {
namespace {

// The same cases in every run, unless the environment asks for others.
const int kParamsSet = setenv("RC_PARAMS", "seed=20101 max_success=2000", 0);

constexpr LogicalTime kNow{0};
constexpr std::array<const char*, 3> kDimensions = {"a", "bb", "c"};

Bytes Encode(const Grants& grants) {
  Bytes out;
  cbor::Encoder encoder(&out);
  grants.Encode(encoder);
  return out;
}

std::string NameOf(unsigned number) { return "g" + std::to_string(number); }

// 0, 1, few, or the great ones.
std::uint64_t RandomAmount(Choices& choices) {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
  constexpr std::uint64_t kAmounts[] = {0,     1,         kHalf - 1,
                                        kHalf, kHalf + 1, ~std::uint64_t{0}};
  const unsigned which = choices.Of(20);
  return which < 6 ? kAmounts[which] : choices.Of(12);
}

Amounts RandomAmounts(Choices& choices) {
  Amounts amounts;
  for (unsigned count = choices.Of(3); count > 0; --count) {
    amounts.Set(kDimensions[choices.Of(kDimensions.size())],
                RandomAmount(choices));
  }
  return amounts;
}

GrantChange RandomChange(Choices& choices) {
  constexpr unsigned kNames = 8;
  GrantChange change;
  // Seldom revoked, since that is the end of it.
  change.op = static_cast<GrantChange::Op>(std::min(choices.Of(33) / 8, 4U));
  change.grant.name = NameOf(choices.Of(kNames));
  const bool limit = change.op != GrantChange::Op::kAmend &&
                     change.op != GrantChange::Op::kRevoke;
  if (limit) change.grant.limit = RandomAmounts(choices);
  if (change.op == GrantChange::Op::kCreate && choices.Of(4) > 0) {
    change.grant.parent = NameOf(choices.Of(kNames));
  }
  return change;
}

// A history with what it should come to, counted another way.
class History {
 public:
  // `checked`: after each change, which takes ten times as long.
  void Play(std::vector<std::uint8_t> bytes, bool checked) {
    Choices choices(std::move(bytes));
    Plant();
    while (!choices.done()) {
      Act(choices);
      if (checked) Check();
    }
    while (!reserved_.empty()) {
      Settle(0, Amounts());
      if (checked) Check();
    }
  }

  const Grants& grants() const { return grants_; }

 private:
  struct Reservation {
    std::string name;
    Amounts amounts;
  };

  // A tree to begin with: g0 over g1 over g2, and g3 beside g1.
  void Plant() {
    constexpr std::uint64_t kMost = ~std::uint64_t{0};
    Grow("g0", "", {{"a", 40}, {"bb", kMost}, {"c", kMost / 2 + 1}});
    Grow("g1", "g0", {{"a", 25}, {"bb", kMost / 2 + 1}});
    Grow("g2", "g1", {{"a", 15}, {"bb", 7}});
    Grow("g3", "g0", {{"a", 5}, {"c", 9}});
    Check();
  }
  void Grow(const char* name, const char* parent, const Amounts& limit) {
    GrantChange change;
    change.grant.name = name;
    change.grant.parent = parent;
    change.grant.limit = limit;
    RC_ASSERT(grants_.Apply(change).ok());
  }

  void Act(Choices& choices) {
    const unsigned act = choices.Of(8);
    if (act < 4) {
      Apply(RandomChange(choices));
    } else if (act < 6 && !grants_.empty()) {
      Reserve(NameOf(choices.Of(8)), RandomAmounts(choices));
    } else if (!reserved_.empty()) {
      const std::size_t which =
          choices.Of(static_cast<unsigned>(reserved_.size()));
      Settle(which, choices.Of(2) == 0 ? reserved_[which].amounts
                                       : RandomAmounts(choices));
    }
  }

  void Apply(const GrantChange& change) {
    const Grants before = grants_;
    if (!grants_.Apply(change).ok()) RC_ASSERT(grants_ == before);
  }

  void Reserve(const std::string& name, const Amounts& amounts) {
    const cbor::Value params;
    const EffectFacts facts{"kind", name, "r", "k", &params, &amounts};
    const bool may = grants_.Check(facts, kNow).ok();
    RC_ASSERT(may == grants_.Affords(name, amounts, kNow));
    if (!may) return;
    grants_.Reserve(name, amounts);
    reserved_.push_back({name, amounts});
  }

  void Settle(std::size_t which, const Amounts& usage) {
    const Reservation reservation = reserved_[which];
    reserved_.erase(reserved_.begin() + static_cast<std::ptrdiff_t>(which));
    const Amounts beyond =
        grants_.Settle(reservation.name, reservation.amounts, usage);
    RC_ASSERT(beyond.FitIn(usage));
  }

  void Check() const {
    const absl::Status status = grants_.CheckConservation();
    RC_ASSERT(status.ok());
    CheckReserved();
    for (const char* dimension : kDimensions) CheckTrees(dimension);
    const Bytes bytes = Encode(grants_);
    cbor::Reader reader(bytes);
    RC_ASSERT(Grants::Decode(reader) == grants_);
    RC_ASSERT(reader.ok());
    RC_ASSERT(reader.AtEnd());
  }

  // What is reserved is what we reserved and have not settled.
  void CheckReserved() const {
    std::map<std::string, Amounts> reserved;
    for (const Reservation& reservation : reserved_) {
      RC_ASSERT(reserved[reservation.name].Add(reservation.amounts));
    }
    for (const auto& [name, account] : grants_.accounts()) {
      RC_ASSERT(account.reserved == reserved[name]);
    }
  }

  // Over each tree: free + reserved + spent = the limit of its root.
  void CheckTrees(const char* dimension) const {
    std::map<std::string, std::uint64_t> sums;
    for (const auto& [name, account] : grants_.accounts()) {
      const Grants::Account* root = &account;
      while (!root->grant.parent.empty()) {
        root = &grants_.accounts().at(root->grant.parent);
      }
      std::uint64_t& sum = sums[root->grant.name];
      for (const Amounts* part :
           {&account.free, &account.reserved, &account.spent}) {
        RC_ASSERT(!__builtin_add_overflow(sum, part->Of(dimension), &sum));
      }
    }
    for (const auto& [name, sum] : sums) {
      RC_ASSERT(sum == grants_.accounts().at(name).grant.limit.Of(dimension));
    }
  }

  Grants grants_;
  std::vector<Reservation> reserved_;
};

rc::Gen<std::vector<std::uint8_t>> AnyHistory() {
  constexpr std::size_t kChoices = 300;
  return rc::gen::container<std::vector<std::uint8_t>>(
      kChoices, rc::gen::arbitrary<std::uint8_t>());
}

TEST_CASE("nothing is lost and nothing appears, whatever happens to grants",
          "[kernel][grants]") {
  REQUIRE(kParamsSet == 0);
  REQUIRE(rc::check([] {
    History history;
    history.Play(*AnyHistory(), true);
    std::size_t alive = 0;
    std::size_t depth_seen = 0;
    for (const auto& [name, account] : history.grants().accounts()) {
      alive += !account.revoked;
      std::size_t depth = 1;
      for (const auto* above = &account; !above->grant.parent.empty();
           above = &history.grants().accounts().at(above->grant.parent)) {
        ++depth;
      }
      depth_seen = std::max(depth_seen, depth);
    }
    RC_CLASSIFY(depth_seen > 3, "more than three levels");
    RC_CLASSIFY(alive > 4, "more than four alive in the end");
  }));
}

TEST_CASE("the same history of grants leads to the same bytes",
          "[kernel][grants]") {
  REQUIRE(rc::check([] {
    const std::vector<std::uint8_t> bytes = *AnyHistory();
    History one, other;
    one.Play(bytes, false);
    other.Play(bytes, false);
    RC_ASSERT(one.grants() == other.grants());
    RC_ASSERT(Encode(one.grants()) == Encode(other.grants()));
  }));
}

}  // namespace
}  // namespace reenact
