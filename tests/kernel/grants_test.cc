#include "reenact/kernel/authority/grants.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/hash.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Contains;
using cbor::Value;
using Op = GrantChange::Op;

constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;
constexpr std::uint64_t kMost = ~std::uint64_t{0};
constexpr LogicalTime kNow{100};

Grant Named(std::string name, Amounts limit = {}, std::string parent = "") {
  Grant grant;
  grant.name = std::move(name);
  grant.parent = std::move(parent);
  grant.limit = std::move(limit);
  return grant;
}

// Grants that are checked after every call.
class Books {
 public:
  absl::Status Apply(Op op, Grant grant) {
    const Grants before = grants_;
    const absl::Status status = grants_.Apply({op, std::move(grant)});
    if (!status.ok()) CHECK(grants_ == before);
    REQUIRE_OK(grants_.CheckConservation());
    return status;
  }
  void Must(Op op, Grant grant) { REQUIRE_OK(Apply(op, std::move(grant))); }
  void Create(std::string name, Amounts limit, std::string parent = "") {
    Must(Op::kCreate,
         Named(std::move(name), std::move(limit), std::move(parent)));
  }
  void Revoke(const std::string& name) { Must(Op::kRevoke, Named(name)); }

  absl::Status Check(std::string_view capability, const Amounts& reserve = {},
                     LogicalTime now = kNow) const {
    return Check(capability, "http.request", Value(), reserve, now);
  }
  absl::Status Check(std::string_view capability, std::string_view kind,
                     const Value& params, const Amounts& reserve = {},
                     LogicalTime now = kNow) const {
    return grants_.Check(
        {kind, capability, "reducer", "key", &params, &reserve}, now);
  }
  // Reserves if it can.
  bool Reserve(const std::string& name, const Amounts& amounts) {
    const bool affords = grants_.Affords(name, amounts, kNow);
    CHECK(affords == Check(name, amounts).ok());
    if (affords) grants_.Reserve(name, amounts);
    REQUIRE_OK(grants_.CheckConservation());
    return affords;
  }
  Amounts Settle(const std::string& name, const Amounts& reserved,
                 const Amounts& usage) {
    Amounts overrun = grants_.Settle(name, reserved, usage);
    REQUIRE_OK(grants_.CheckConservation());
    return overrun;
  }

  const Grants::Account& operator[](const std::string& name) const {
    return grants_.accounts().at(name);
  }
  const Grants& grants() const { return grants_; }

 private:
  Grants grants_;
};

Bytes Encode(const Grants& grants) {
  Bytes out;
  cbor::Encoder encoder(&out);
  grants.Encode(encoder);
  return out;
}

Bytes Encode(const GrantChange& change) {
  Bytes out;
  cbor::Encoder encoder(&out);
  EncodeGrantChange(change, encoder);
  return out;
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

TEST_CASE("what is reserved is not free, and returns as far as it is not spent",
          "[kernel][grants]") {
  Books books;
  books.Create("crawler", {{"calls", 10}, {"bytes", 1000}});
  REQUIRE(books.Reserve("crawler", {{"calls", 1}, {"bytes", 600}}));
  CHECK(books["crawler"].free == Amounts{{"calls", 9}, {"bytes", 400}});
  CHECK(books["crawler"].reserved == Amounts{{"calls", 1}, {"bytes", 600}});

  CHECK_FALSE(books.Reserve("crawler", {{"bytes", 401}}));
  CHECK(books
            .Settle("crawler", {{"calls", 1}, {"bytes", 600}},
                    {{"calls", 1}, {"bytes", 150}})
            .empty());
  CHECK(books["crawler"].free == Amounts{{"calls", 9}, {"bytes", 850}});
  CHECK(books["crawler"].spent == Amounts{{"calls", 1}, {"bytes", 150}});
  CHECK(books["crawler"].reserved.empty());
}

TEST_CASE("the last unit is reserved once, whatever it costs",
          "[kernel][grants]") {
  struct Row {
    std::uint64_t limit, cost;
    int times;  // that it can be had, of three
  };
  for (const Row& row :
       {Row{7, 0, 3}, Row{7, 1, 3}, Row{1, 1, 1}, Row{7, 7, 1}, Row{7, 8, 0},
        Row{0, 1, 0}, Row{0, 0, 3}, Row{kHalf, kHalf, 1},
        Row{kHalf - 1, kHalf, 0}, Row{kMost, kHalf, 1}, Row{kMost, kMost, 1},
        Row{kMost - 1, kMost, 0}, Row{7, kMost, 0}, Row{7, kHalf, 0}}) {
    CAPTURE(row.limit, row.cost);
    Books books;
    books.Create("g", {{"cents", row.limit}});
    int times = 0;
    for (int i = 0; i < 3; ++i) {
      times += books.Reserve("g", {{"cents", row.cost}});
    }
    CHECK(times == row.times);
  }
}

TEST_CASE("a dimension that the limit does not name cannot be reserved",
          "[kernel][grants]") {
  Books books;
  books.Create("g", {{"calls", 10}});
  const absl::Status status = books.Check("g", {{"calls", 1}, {"cents", 1}});
  CHECK(absl::IsResourceExhausted(status));
  CHECK(Message(status) == "grant \"g\" has 0 cents free, not 1");
}

TEST_CASE(
    "settling never fails: what goes beyond is taken from what is free, "
    "then noted",
    "[kernel][grants]") {
  Books books;
  books.Create("g", {{"calls", 10}});
  REQUIRE(books.Reserve("g", {{"calls", 2}}));
  REQUIRE(books.Reserve("g", {{"calls", 5}}));
  // 2 were reserved, 3 are free, 1 is nobody's; nobody has heard of cents.
  CHECK(books.Settle("g", {{"calls", 2}}, {{"calls", 6}, {"cents", 4}}) ==
        Amounts{{"calls", 1}, {"cents", 4}});
  CHECK(books["g"].free.empty());
  CHECK(books["g"].spent == Amounts{{"calls", 5}});
  CHECK(books["g"].overrun == Amounts{{"calls", 1}, {"cents", 4}});
  CHECK_FALSE(books.Reserve("g", {{"calls", 1}}));
}

TEST_CASE("whatever becomes free pays an overrun first", "[kernel][grants]") {
  Books books;
  books.Create("g", {{"calls", 10}});
  REQUIRE(books.Reserve("g", {{"calls", 2}}));
  REQUIRE(books.Reserve("g", {{"calls", 8}}));
  books.Settle("g", {{"calls", 2}}, {{"calls", 5}});
  CHECK(books["g"].overrun == Amounts{{"calls", 3}});

  SECTION("by a settlement") {
    books.Settle("g", {{"calls", 8}}, {{"calls", 1}});
    CHECK(books["g"].overrun.empty());
    CHECK(books["g"].spent == Amounts{{"calls", 6}});
    CHECK(books["g"].free == Amounts{{"calls", 4}});
  }
  SECTION("by a higher limit") {
    books.Must(Op::kAdd, Named("g", {{"calls", 5}}));
    CHECK(books["g"].overrun.empty());
    CHECK(books["g"].free == Amounts{{"calls", 2}});
    CHECK(books["g"].grant.limit == Amounts{{"calls", 15}});
  }
  SECTION("as far as it goes") {
    books.Must(Op::kAdd, Named("g", {{"calls", 2}}));
    CHECK(books["g"].overrun == Amounts{{"calls", 1}});
    CHECK(books["g"].free.empty());
  }
}

TEST_CASE("an overrun never wraps and takes bounded room", "[kernel][grants]") {
  Books books;
  books.Create("g", {{"zz", 1}});
  for (int i = 0; i < 3; ++i) {
    CHECK(books.Settle("g", {}, {{"x", kMost}}).Of("x") == kMost);
  }
  CHECK(books["g"].overrun == Amounts{{"x", kMost}});
  for (int i = 0; i < 100; ++i) {
    books.Settle("g", {}, {{"d" + std::to_string(100 + i), 1}});
  }
  CHECK(books["g"].overrun.items().size() == Amounts::kDimensionsMax);
  // What the limit names has a place, always.
  books.Settle("g", {}, {{"zz", 3}});
  CHECK(books["g"].overrun.items().size() == Amounts::kDimensionsMax);
  CHECK(books["g"].overrun.Of("zz") == 2);
  cbor::Reader reader("");
  const Bytes bytes = Encode(books.grants());
  reader = cbor::Reader(bytes);
  CHECK(Grants::Decode(reader) == books.grants());
}

TEST_CASE("a grant that is split off takes from what its parent has free",
          "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 100}});
  books.Create("team", {{"calls", 60}}, "all");
  books.Create("run", {{"calls", 25}}, "team");
  CHECK(books["all"].free == Amounts{{"calls", 40}});
  CHECK(books["team"].free == Amounts{{"calls", 35}});
  CHECK(books["run"].free == Amounts{{"calls", 25}});

  CHECK(absl::IsResourceExhausted(
      books.Apply(Op::kCreate, Named("more", {{"calls", 41}}, "all"))));
  CHECK(absl::IsResourceExhausted(
      books.Apply(Op::kCreate, Named("more", {{"cents", 1}}, "all"))));
  CHECK(absl::IsResourceExhausted(
      books.Apply(Op::kCreate, Named("more", {{"calls", kMost}}, "all"))));
  books.Create("rest", {{"calls", 40}}, "all");
  CHECK(books["all"].free.empty());
}

TEST_CASE("adding and taking move between a grant and its parent",
          "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 10}});
  books.Create("run", {{"calls", 4}}, "all");
  books.Must(Op::kAdd, Named("run", {{"calls", 5}}));
  CHECK(books["all"].free == Amounts{{"calls", 1}});
  CHECK(absl::IsResourceExhausted(
      books.Apply(Op::kAdd, Named("run", {{"calls", 2}}))));
  REQUIRE(books.Reserve("run", {{"calls", 8}}));
  CHECK(absl::IsResourceExhausted(
      books.Apply(Op::kTake, Named("run", {{"calls", 2}}))));
  books.Must(Op::kTake, Named("run", {{"calls", 1}}));
  CHECK(books["all"].free == Amounts{{"calls", 2}});

  // A root takes from nowhere, and gives to nobody.
  books.Must(Op::kTake, Named("all", {{"calls", 2}}));
  CHECK(books["all"].grant.limit == Amounts{{"calls", 8}});
  books.Must(Op::kAdd, Named("all", {{"cents", kMost}}));
  CHECK(
      absl::IsOutOfRange(books.Apply(Op::kAdd, Named("all", {{"cents", 1}}))));
}

TEST_CASE("revoking returns what is free at once and the rest as it is settled",
          "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 100}});
  books.Create("team", {{"calls", 60}}, "all");
  books.Create("run", {{"calls", 25}}, "team");
  REQUIRE(books.Reserve("team", {{"calls", 10}}));
  REQUIRE(books.Reserve("run", {{"calls", 20}}));
  books.Settle("run", {}, {{"calls", 2}});

  books.Revoke("team");
  // 25 of team's and 3 of run's were free.
  CHECK(books["all"].free == Amounts{{"calls", 40 + 25 + 3}});
  CHECK(books["team"].grant.limit == Amounts{{"calls", 10 + 22}});
  CHECK(books["run"].grant.limit == Amounts{{"calls", 22}});
  CHECK(absl::IsPermissionDenied(books.Check("team")));
  CHECK(absl::IsPermissionDenied(books.Check("run")));

  books.Settle("run", {{"calls", 20}}, {{"calls", 1}});
  CHECK(books["all"].free == Amounts{{"calls", 68 + 19}});
  books.Settle("team", {{"calls", 10}}, {});
  CHECK(books["all"].free == Amounts{{"calls", 97}});
  CHECK(books["all"].split == Amounts{{"calls", 3}});
  CHECK(books["team"].grant.limit == Amounts{{"calls", 3}});
  CHECK(books["team"].split == Amounts{{"calls", 3}});
  CHECK(books["run"].spent == Amounts{{"calls", 3}});
}

TEST_CASE("what returns pays the overruns on its way", "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 10}});
  books.Create("run", {{"calls", 6}}, "all");
  books.Settle("all", {}, {{"calls", 6}});
  CHECK(books["all"].overrun == Amounts{{"calls", 2}});
  REQUIRE(books.Reserve("run", {{"calls", 3}}));
  books.Revoke("run");
  CHECK(books["all"].overrun.empty());
  CHECK(books["all"].free == Amounts{{"calls", 1}});
  // What a revoked grant spends beyond its limit finds nothing free.
  CHECK(books.Settle("run", {{"calls", 3}}, {{"calls", 5}}) ==
        Amounts{{"calls", 2}});
  CHECK(books["all"].free == Amounts{{"calls", 1}});
}

TEST_CASE("what a revoked root has free is gone", "[kernel][grants]") {
  Books books;
  books.Create("g", {{"calls", 10}});
  REQUIRE(books.Reserve("g", {{"calls", 4}}));
  books.Revoke("g");
  CHECK(books["g"].grant.limit == Amounts{{"calls", 4}});
  books.Settle("g", {{"calls", 4}}, {{"calls", 1}});
  CHECK(books["g"].grant.limit == Amounts{{"calls", 1}});
  CHECK(books["g"].spent == Amounts{{"calls", 1}});
}

TEST_CASE("a revoked grant changes no more, and its name is used up",
          "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 10}});
  books.Create("run", {{"calls", 1}}, "all");
  books.Revoke("all");
  for (const auto op : {Op::kAdd, Op::kTake}) {
    CHECK(absl::IsFailedPrecondition(
        books.Apply(op, Named("run", {{"calls", 1}}))));
  }
  CHECK(absl::IsFailedPrecondition(books.Apply(Op::kAmend, Named("run"))));
  CHECK(absl::IsFailedPrecondition(books.Apply(Op::kRevoke, Named("run"))));
  CHECK(absl::IsFailedPrecondition(
      books.Apply(Op::kCreate, Named("new", {}, "run"))));
  const absl::Status again = books.Apply(Op::kCreate, Named("run"));
  CHECK(absl::IsAlreadyExists(again));
  CHECK_THAT(Message(again), Contains("cannot be used again"));
}

TEST_CASE("grants that are not there, or are, are named", "[kernel][grants]") {
  Books books;
  books.Create("all", {});
  CHECK(absl::IsAlreadyExists(books.Apply(Op::kCreate, Named("all"))));
  const absl::Status parent =
      books.Apply(Op::kCreate, Named("run", {}, "nobody"));
  CHECK(absl::IsNotFound(parent));
  CHECK(Message(parent) == "there is no grant \"nobody\"");
  CHECK(absl::IsNotFound(books.Apply(Op::kRevoke, Named("nobody"))));
  CHECK(absl::IsNotFound(books.Check("nobody")));
  CHECK_FALSE(books.grants().Affords("nobody", {}, kNow));
}

TEST_CASE("without a capability an effect may be had if it costs nothing",
          "[kernel][grants]") {
  Books books;
  REQUIRE_OK(books.Check(""));
  CHECK(absl::IsPermissionDenied(books.Check("", {{"calls", 1}})));
  CHECK(books.Settle("", {}, {{"calls", 1}}).empty());
}

TEST_CASE("grants are split sixteen deep and no deeper", "[kernel][grants]") {
  Books books;
  books.Create("g1", {{"calls", 3}});
  for (int i = 2; i <= 16; ++i) {
    books.Create("g" + std::to_string(i), {{"calls", 3}},
                 "g" + std::to_string(i - 1));
  }
  CHECK(absl::IsOutOfRange(books.Apply(Op::kCreate, Named("g17", {}, "g16"))));
  REQUIRE(books.Reserve("g16", {{"calls", 2}}));
  books.Revoke("g2");
  CHECK(books["g1"].free == Amounts{{"calls", 1}});
  books.Settle("g16", {{"calls", 2}}, {});
  CHECK(books["g1"].free == Amounts{{"calls", 3}});
  CHECK(books["g1"].split.empty());
}

TEST_CASE("a grant permits its kinds", "[kernel][grants]") {
  Books books;
  Grant grant = Named("g");
  grant.kinds = {"http.request", "blob.*"};
  books.Must(Op::kCreate, grant);
  REQUIRE_OK(books.Check("g", "http.request", Value()));
  REQUIRE_OK(books.Check("g", "blob.put", Value()));
  const absl::Status status = books.Check("g", "process.run", Value());
  CHECK(absl::IsPermissionDenied(status));
  CHECK(Message(status) == "grant \"g\" is not for process.run");
}

TEST_CASE("a grant permits parameters for which all conditions hold",
          "[kernel][grants]") {
  Books books;
  Grant grant = Named("g");
  grant.where = {
      {"url", Predicate::Test::kHost, {Value("*.example.com")}},
      {"method", Predicate::Test::kIs, {Value("GET"), Value("HEAD")}}};
  books.Must(Op::kCreate, grant);
  const auto check = [&](const char* url, const char* method) {
    return books.Check("g", "http.request",
                       Value::Map({{"url", url}, {"method", method}}));
  };
  REQUIRE_OK(check("https://a.example.com/", "GET"));
  CHECK(Message(check("https://a.example.com/", "PUT")) ==
        "grant \"g\" wants method is \"GET\" or \"HEAD\"");
  CHECK(Message(check("https://a.example.com@evil.com/", "GET")) ==
        "grant \"g\" wants url host *.example.com");
  CHECK(absl::IsPermissionDenied(books.Check("g", "http.request", Value())));
}

TEST_CASE("a grant permits until its time has come", "[kernel][grants]") {
  Books books;
  Grant grant = Named("g", {{"calls", 5}});
  grant.expires = LogicalTime{200};
  books.Must(Op::kCreate, grant);
  const Amounts call{{"calls", 1}};
  REQUIRE_OK(books.Check("g", call, LogicalTime{199}));
  const absl::Status status = books.Check("g", call, LogicalTime{200});
  CHECK(absl::IsPermissionDenied(status));
  CHECK(Message(status) == "grant \"g\" expired at 200");
  CHECK(books.grants().Affords("g", call, LogicalTime{199}));
  CHECK_FALSE(books.grants().Affords("g", call, LogicalTime{200}));

  // What is reserved is settled all the same; what is free can be taken back.
  books.Must(Op::kAmend, Named("g"));
  REQUIRE_OK(books.Check("g", call, LogicalTime{200}));
}

TEST_CASE("a grant permits nothing that one above it does not",
          "[kernel][grants]") {
  Books books;
  Grant all = Named("all");
  all.kinds = {"http.*"};
  all.where = {{"url", Predicate::Test::kHost, {Value("a.com")}}};
  all.expires = LogicalTime{500};
  books.Must(Op::kCreate, all);
  books.Create("team", {}, "all");
  Grant run = Named("run", {}, "team");
  run.kinds = {"*"};
  run.expires = LogicalTime{1000};
  books.Must(Op::kCreate, run);

  const Value good = Value::Map({{"url", "http://a.com/"}});
  const Value bad = Value::Map({{"url", "http://b.com/"}});
  REQUIRE_OK(books.Check("run", "http.request", good));
  CHECK_THAT(Message(books.Check("run", "process.run", good)),
             Contains("\"all\" is not for"));
  CHECK_THAT(Message(books.Check("run", "http.request", bad)),
             Contains("\"all\" wants url host"));
  CHECK_THAT(
      Message(books.Check("run", "http.request", good, {}, LogicalTime{500})),
      Contains("\"all\" expired"));

  // What the parent comes to permit or not counts from then on.
  books.Must(Op::kAmend, Named("all"));
  REQUIRE_OK(books.Check("run", "process.run", bad, {}, LogicalTime{500}));
  all.parent = "";
  books.Must(Op::kAmend, all);
  CHECK(absl::IsPermissionDenied(books.Check("run", "process.run", good)));
}

TEST_CASE("a change that makes no sense by itself is refused",
          "[kernel][grants]") {
  const auto with = [](Op op, auto edit) {
    GrantChange change{op, Named("g")};
    if (op == Op::kAdd || op == Op::kTake) change.grant.limit = {{"x", 1}};
    edit(change.grant);
    return change;
  };
  const auto limit = [](Grant& grant) { grant.limit = {{"x", 1}}; };
  const auto expires = [](Grant& grant) { grant.expires = LogicalTime{}; };
  const auto parent = [](Grant& grant) { grant.parent = "all"; };
  Amounts many;
  for (int i = 0; i < 65; ++i) many.Set("d" + std::to_string(i), 1);
  const std::vector<std::pair<GrantChange, std::string>> refused = {
      {with(Op::kCreate, [](Grant& g) { g.name = ""; }), "name: should be"},
      {with(Op::kCreate, [](Grant& g) { g.name = "a b"; }), "name: should be"},
      {with(Op::kCreate, [](Grant& g) { g.name = std::string(65, 'a'); }),
       "name: should be"},
      {with(Op::kCreate, [](Grant& g) { g.parent = "g"; }), "another grant"},
      {with(Op::kCreate, [](Grant& g) { g.parent = "/"; }), "parent: should"},
      {with(Op::kCreate,
            [](Grant& g) {
              g.kinds = {"a", "b*c"};
            }),
       "kinds[1]: "},
      {with(Op::kCreate, [](Grant& g) { g.kinds = {""}; }), "kinds[0]: "},
      {with(Op::kCreate, [](Grant& g) { g.kinds.resize(257, "k"); }),
       "kinds: 257"},
      {with(Op::kCreate,
            [](Grant& g) {
              g.where = {{"x", Predicate::Test::kIs, {}}};
            }),
       "where[0]: is: 0 values"},
      {with(Op::kCreate, [&](Grant& g) { g.limit = many; }), "limit: 65"},
      {with(Op::kCreate,
            [&](Grant& g) {
              g.limit = {{std::string(65, 'x'), 1}};
            }),
       "limit: a dimension's name"},
      {with(Op::kAdd, [](Grant& g) { g.limit = {}; }), "says no limit"},
      {with(Op::kAdd, parent), "names a parent"},
      {with(Op::kTake, expires), "says kinds, where or expires"},
      {with(Op::kAmend, limit), "says a limit"},
      {with(Op::kRevoke, limit), "says a limit"},
      {with(Op::kRevoke, expires), "says kinds, where or expires"},
      {{static_cast<Op>(5), Named("g")}, "does not exist"},
  };
  for (const auto& [change, why] : refused) {
    INFO(why);
    const absl::Status status = CheckGrantChange(change);
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(Message(status), Contains(why));
    Grants grants;
    CHECK(grants.Apply(change) == status);
    CHECK(grants.empty());
  }
}

GrantChange Unusual() {
  GrantChange change{Op::kCreate, Named("run.7", {{"calls", 5}}, "all")};
  change.grant.kinds = {"http.*", "blob.put"};
  change.grant.where = {
      {"url", Predicate::Test::kHost, {Value("a.com"), Value("*.b.com:81")}}};
  change.grant.expires = LogicalTime{-7};
  return change;
}

TEST_CASE("a change is read back as it was written, and cut nowhere",
          "[kernel][grants]") {
  for (const GrantChange& change :
       {Unusual(), GrantChange{Op::kCreate, Named("g")},
        GrantChange{Op::kAdd, Named("g", {{"x", kMost}})},
        GrantChange{Op::kTake, Named("g", {{"x", 1}})},
        GrantChange{Op::kAmend, Named("g")},
        GrantChange{Op::kRevoke, Named("g")}}) {
    const Bytes bytes = Encode(change);
    CAPTURE(ToHex(bytes));
    REQUIRE_OK(cbor::Validate(bytes));
    cbor::Reader reader(bytes);
    CHECK(DecodeGrantChange(reader) == change);
    REQUIRE_OK(reader.status());
    CHECK(reader.AtEnd());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      cbor::Reader cut(BytesView(bytes).substr(0, size));
      DecodeGrantChange(cut);
      CHECK_FALSE(cut.ok());
    }
  }
}

TEST_CASE("a byte changed in a change is refused or makes another change",
          "[kernel][grants]") {
  const GrantChange change = Unusual();
  const Bytes bytes = Encode(change);
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (int bits = 1; bits < 256; ++bits) {
      Bytes other = bytes;
      other[place] = static_cast<char>(other[place] ^ bits);
      cbor::Reader reader(other);
      const GrantChange read = DecodeGrantChange(reader);
      reader.ExpectEnd();
      if (!reader.ok()) continue;
      CAPTURE(place, bits);
      CHECK_FALSE(read == change);
      CHECK(Encode(read) == other);
    }
  }
}

TEST_CASE("grants are read back as they were written, and cut nowhere",
          "[kernel][grants]") {
  Books books;
  books.Create("all", {{"calls", 100}, {"cents", kHalf}});
  books.Must(Op::kCreate, Unusual().grant);
  books.Create("old", {{"calls", 9}}, "all");
  REQUIRE(books.Reserve("old", {{"calls", 3}}));
  books.Settle("all", {}, {{"ms", 5}});
  books.Revoke("old");
  const Bytes bytes = Encode(books.grants());
  REQUIRE_OK(cbor::Validate(bytes));
  cbor::Reader reader(bytes);
  CHECK(Grants::Decode(reader) == books.grants());
  REQUIRE_OK(reader.status());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    cbor::Reader cut(BytesView(bytes).substr(0, size));
    Grants::Decode(cut);
    CHECK_FALSE(cut.ok());
  }
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes other = bytes;
      other[place] = static_cast<char>(other[place] ^ 1 << bit);
      cbor::Reader flipped(other);
      const Grants read = Grants::Decode(flipped);
      flipped.ExpectEnd();
      if (!flipped.ok()) continue;
      CAPTURE(place, bit);
      CHECK_FALSE(read == books.grants());
      CHECK(Encode(read) == other);
      REQUIRE_OK(read.CheckConservation());
    }
  }
}

TEST_CASE("grants that break an invariant are refused", "[kernel][grants]") {
  const auto why_not = [](const char* hex) {
    const Bytes bytes = *FromHex(hex);
    REQUIRE_OK(cbor::Validate(bytes));
    cbor::Reader reader(bytes);
    CHECK(Grants::Decode(reader).empty());
    REQUIRE_FALSE(reader.ok());
    return Message(reader.status());
  };
  // [{name: "a", limit: {"x": 2}, free: {"x": 1}}]
  CHECK_THAT(why_not("81a301616106a161780208a1617801"),
             Contains("is not free"));
  // a: limit 1, free 1, overrun 1
  CHECK_THAT(why_not("81a401616106a161780108a16178010ca1617801"),
             Contains("beside an overrun"));
  // a: limit 1, revoked, free 1
  CHECK_THAT(why_not("81a401616106a161780107f508a1617801"),
             Contains("revoked, and something is free"));
  // a: limit 1, split 1
  CHECK_THAT(why_not("81a301616106a16178010ba1617801"),
             Contains("is not what children have"));
  // a: parent b
  CHECK_THAT(why_not("81a2016161026162"), Contains("has a parent that is not"));
  // a: parent a; a: parent b and b: parent a
  CHECK_THAT(why_not("81a2016161026161"), Contains("too deep"));
  CHECK_THAT(why_not("82a2016161026162a2016162026161"), Contains("too deep"));
  // a, b: parent a, of whom a is revoked
  CHECK_THAT(why_not("82a201616107f5a2016162026161"),
             Contains("outlives its parent"));
  // b, a; a, a
  CHECK_THAT(why_not("82a1016162a1016161"), Contains("out of order"));
  CHECK_THAT(why_not("82a1016161a1016161"), Contains("out of order"));
  // a: revoked false; limit {}
  CHECK_THAT(why_not("81a201616107f4"), Contains("omit the key"));
  CHECK_THAT(why_not("81a201616106a0"), Contains("omit the key"));
}

TEST_CASE("people write grants as maps", "[kernel][grants]") {
  const auto grant = ParseGrant(Value::Map(
      {{"name", "run.7"},
       {"parent", "all"},
       {"kinds", Value::Array({Value("http.*"), Value("blob.put")})},
       {"where",
        Value::Array({Value::Map(
            {{"path", "url"},
             {"host", Value::Array({Value("a.com"), Value("*.b.com:81")})}})})},
       {"expires", -7},
       {"limit", Value::Map({{"calls", 5}})}}));
  REQUIRE_OK(grant);
  CHECK(*grant == Unusual().grant);

  const auto why_not = [](Value document) {
    const auto refused = ParseGrant(std::move(document));
    REQUIRE(absl::IsInvalidArgument(refused.status()));
    return Message(refused.status());
  };
  CHECK_THAT(why_not("g"), Contains("should be a map"));
  CHECK_THAT(why_not(Value::Map()), Contains("name: should be"));
  CHECK_THAT(why_not(Value::Map({{"name", 7}})),
             Contains("name: should be text"));
  CHECK_THAT(why_not(Value::Map({{"name", "g"}, {"kind", "x"}})),
             Contains("unknown member \"kind\""));
  CHECK_THAT(why_not(Value::Map({{"name", "g"}, {"expires", "soon"}})),
             Contains("expires: should be"));
  CHECK_THAT(why_not(Value::Map(
                 {{"name", "g"}, {"limit", Value::Map({{"calls", -1}})}})),
             Contains("limit: calls should be"));
  CHECK_THAT(
      why_not(Value::Map({{"name", "g"},
                          {"where", Value::Array({Value::Map(
                                        {{"path", "x"}, {"host", "*"}})})}})),
      Contains("where[0]: host: "));
}

}  // namespace
}  // namespace reenact
