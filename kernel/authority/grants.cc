#include "reenact/kernel/authority/grants.h"

#include <algorithm>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/base/test_points.h"
#include "reenact/kernel/reducer.h"

namespace reenact {
namespace {

using Account = Grants::Account;
using Op = GrantChange::Op;

absl::Status Refuse(std::string what) {
  return absl::InvalidArgumentError(what);
}

std::string Quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

std::string GrantNamed(std::string_view name) {
  return "grant " + Quoted(name);
}

// --- What makes sense --------------------------------------------------------

absl::Status CheckName(const char* field, std::string_view name) {
  if (IsReducerName(name)) return absl::OkStatus();
  return Refuse(std::string(field) + ": should be " +
                "1 to 64 letters, digits and \"_\", \"-\", \".\"");
}

absl::Status CheckCount(const char* field, std::size_t count,
                        std::size_t most) {
  if (count <= most) return absl::OkStatus();
  return Refuse(std::string(field) + ": " + std::to_string(count) +
                ", at most " + std::to_string(most) + " can be");
}

std::string Place(const char* list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

absl::Status CheckKinds(const std::vector<std::string>& kinds) {
  REENACT_RETURN_IF_ERROR(CheckCount("kinds", kinds.size(), Grant::kKindsMax));
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const absl::Status status = kinds[i].empty() ? Refuse("should not be empty")
                                                 : CheckPattern(kinds[i]);
    if (!status.ok()) return Annotate(status, Place("kinds", i));
  }
  return absl::OkStatus();
}

absl::Status CheckWhere(const std::vector<Predicate>& where) {
  REENACT_RETURN_IF_ERROR(CheckCount("where", where.size(), Grant::kWhereMax));
  for (std::size_t i = 0; i < where.size(); ++i) {
    const absl::Status status = CheckPredicate(where[i]);
    if (!status.ok()) return Annotate(status, Place("where", i));
  }
  return absl::OkStatus();
}

absl::Status CheckLimit(const Amounts& limit) {
  REENACT_RETURN_IF_ERROR(
      CheckCount("limit", limit.items().size(), Amounts::kDimensionsMax));
  for (const Amounts::Item& item : limit.items()) {
    if (!IsDimension(item.dimension)) {
      return Refuse("limit: a dimension's name should be 1 to " +
                    std::to_string(Amounts::kDimensionBytesMax) +
                    " bytes of UTF-8");
    }
  }
  return absl::OkStatus();
}

// Which of a grant's fields an operation uses, beside the name.
struct Uses {
  const char* words;
  bool parent;
  bool rules;  // kinds, where, expires
  bool limit;
};
constexpr Uses kUses[] = {{"create", true, true, true},
                          {"add", false, false, true},
                          {"take", false, false, true},
                          {"amend", false, true, false},
                          {"revoke", false, false, false}};

// --- Arithmetic --------------------------------------------------------------

// What of `a` is in `b`, too.
Amounts Least(const Amounts& a, const Amounts& b) {
  Amounts least;
  for (const Amounts::Item& item : a.items()) {
    least.Set(item.dimension, std::min(item.value, b.Of(item.dimension)));
  }
  return least;
}

// a - b. REQUIRES: `b` fits in `a`.
Amounts Minus(Amounts a, const Amounts& b) {
  REENACT_CHECK(a.Subtract(b));
  return a;
}

// Where it cannot overflow: both are parts of one limit.
void AddTo(Amounts* sum, const Amounts& amounts) {
  REENACT_CHECK(sum->Add(amounts));
}
void TakeFrom(Amounts* from, const Amounts& amounts) {
  REENACT_CHECK(from->Subtract(amounts));
}

// Makes room for one more dimension of the limit: it displaces the last one
// that the limit does not name. False: `dimension` has no place.
bool MakeRoom(const Amounts& limit, std::string_view dimension,
              Amounts* overrun) {
  if (overrun->Of(dimension) > 0) return true;
  const auto& items = overrun->items();
  if (items.size() < Amounts::kDimensionsMax) return true;
  if (limit.Of(dimension) == 0) return false;
  for (std::size_t i = items.size(); i > 0; --i) {
    if (limit.Of(items[i - 1].dimension) > 0) continue;
    overrun->Set(std::string(items[i - 1].dimension), 0);
    return true;
  }
  return false;
}

// Adds as much as there is room for.
void NoteOverrun(const Amounts& beyond, Account* account) {
  for (const Amounts::Item& item : beyond.items()) {
    if (!MakeRoom(account->grant.limit, item.dimension, &account->overrun)) {
      continue;
    }
    const std::uint64_t before = account->overrun.Of(item.dimension);
    account->overrun.Set(item.dimension,
                         before + std::min(item.value, ~before));
  }
}

absl::Status NotEnough(const Account& account, const Amounts& wanted) {
  for (const Amounts::Item& item : wanted.items()) {
    const std::uint64_t free = account.free.Of(item.dimension);
    if (item.value <= free) continue;
    return absl::ResourceExhaustedError(
        GrantNamed(account.grant.name) + " has " + std::to_string(free) + " " +
        item.dimension + " free, not " + std::to_string(item.value));
  }
  return absl::OkStatus();
}

bool HasExpired(const Grant& grant, LogicalTime now) {
  return grant.expires && now >= *grant.expires;
}

absl::Status Denied(const Grant& grant, std::string why) {
  return absl::PermissionDeniedError(GrantNamed(grant.name) + " " + why);
}

// What the grant by itself says of the effect.
absl::Status CheckRules(const Grant& grant, const EffectFacts& facts) {
  if (!MatchesAny(grant.kinds, facts.kind)) {
    return Denied(grant, "is not for " + std::string(facts.kind));
  }
  static const cbor::Value kNoParams;
  const cbor::Value& params = facts.params ? *facts.params : kNoParams;
  for (const Predicate& predicate : grant.where) {
    if (!Holds(predicate, params)) {
      return Denied(grant, "wants " + ToString(predicate));
    }
  }
  return absl::OkStatus();
}

// --- Invariants --------------------------------------------------------------

absl::Status Broken(const Account& account, const std::string& what) {
  return absl::InternalError(GrantNamed(account.grant.name) + ": " + what);
}

absl::Status CheckAccount(const Account& account) {
  Amounts sum = account.free;
  if (!sum.Add(account.reserved) || !sum.Add(account.spent) ||
      !sum.Add(account.split) || sum != account.grant.limit) {
    return Broken(account, "limit " + account.grant.limit.ToString() +
                               " is not free " + account.free.ToString() +
                               " + reserved " + account.reserved.ToString() +
                               " + spent " + account.spent.ToString() +
                               " + split " + account.split.ToString());
  }
  if (!Least(account.overrun, account.free).empty()) {
    return Broken(account, "something is free beside an overrun");
  }
  if (account.revoked && !account.free.empty()) {
    return Broken(account, "revoked, and something is free");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGrant(const Grant& grant) {
  REENACT_RETURN_IF_ERROR(CheckName("name", grant.name));
  if (!grant.parent.empty()) {
    REENACT_RETURN_IF_ERROR(CheckName("parent", grant.parent));
  }
  REENACT_RETURN_IF_ERROR(CheckKinds(grant.kinds));
  REENACT_RETURN_IF_ERROR(CheckWhere(grant.where));
  return CheckLimit(grant.limit);
}

// --- Changes -----------------------------------------------------------------

absl::Status CheckGrantChange(const GrantChange& change) {
  const Grant& grant = change.grant;
  const auto op = static_cast<std::size_t>(change.op);
  if (op >= std::size(kUses)) return Refuse("an operation that does not exist");
  REENACT_RETURN_IF_ERROR(CheckGrant(grant));
  const Uses& uses = kUses[op];
  const std::string to = std::string("to ") + uses.words + " a grant ";
  if (!uses.parent && !grant.parent.empty())
    return Refuse(to + "names a parent");
  const bool rules =
      !grant.kinds.empty() || !grant.where.empty() || grant.expires;
  if (!uses.rules && rules) {
    return Refuse(to + "says kinds, where or expires; to amend does");
  }
  if (!uses.limit && !grant.limit.empty()) return Refuse(to + "says a limit");
  const bool moves = change.op == Op::kAdd || change.op == Op::kTake;
  if (moves && grant.limit.empty()) return Refuse(to + "says no limit");
  if (!grant.parent.empty() && grant.parent == grant.name) {
    return Refuse("parent: should be another grant");
  }
  return absl::OkStatus();
}

// --- Documents ---------------------------------------------------------------

namespace {

// A list of items, or one alone.
template <typename Item, typename Parse>
absl::Status ParseList(const char* field, const cbor::Value& value, Parse parse,
                       std::vector<Item>* items) {
  const std::vector<cbor::Value> alone{value};
  const auto& list = value.IsArray() ? value.items() : alone;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto item = parse(list[i]);
    if (!item.ok()) {
      const std::string place = value.IsArray() ? Place(field, i) : field;
      return Annotate(item.status(), place);
    }
    items->push_back(Item(*std::move(item)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> ParseText(const cbor::Value& value) {
  if (value.IsText()) return value.AsText();
  return Refuse("should be text, not " + std::string(value.TypeName()));
}

absl::Status SetText(const char* field, const cbor::Value& value,
                     std::string* text) {
  const auto parsed = ParseText(value);
  if (!parsed.ok()) return Annotate(parsed.status(), field);
  *text = std::string(*parsed);
  return absl::OkStatus();
}

absl::Status SetMember(std::string_view member, const cbor::Value& value,
                       Grant* grant) {
  if (member == "name") return SetText("name", value, &grant->name);
  if (member == "parent") return SetText("parent", value, &grant->parent);
  if (member == "kinds") {
    return ParseList("kinds", value, ParseText, &grant->kinds);
  }
  if (member == "where") {
    return ParseList("where", value, ParsePredicate, &grant->where);
  }
  if (member == "expires") {
    const auto time = value.AsInteger();
    if (!time.ok()) return Refuse("expires: should be an integer of 64 bits");
    grant->expires = LogicalTime{*time};
    return absl::OkStatus();
  }
  if (member == "limit") {
    auto limit = ParseAmounts(value);
    if (!limit.ok()) return Annotate(limit.status(), "limit");
    grant->limit = *std::move(limit);
    return absl::OkStatus();
  }
  return Refuse("unknown member " +
                cbor::Diagnose(cbor::EncodeText(member.substr(0, 64))) +
                "; there are name, parent, kinds, where, expires and limit");
}

}  // namespace

absl::StatusOr<Grant> ParseGrant(const cbor::Value& document) {
  if (!document.IsMap()) {
    return Refuse("a grant should be a map, not " +
                  std::string(document.TypeName()));
  }
  Grant grant;
  for (const auto& [member, value] : document.pairs()) {
    if (!member.IsText()) return Refuse("a member's name should be text");
    REENACT_RETURN_IF_ERROR(SetMember(*member.AsText(), value, &grant));
  }
  REENACT_RETURN_IF_ERROR(CheckGrant(grant));
  return grant;
}

// --- The ledger --------------------------------------------------------------

Account* Grants::Find(std::string_view name) {
  const auto found = accounts_.find(name);
  return found == accounts_.end() ? nullptr : &found->second;
}

const Account* Grants::Find(std::string_view name) const {
  const auto found = accounts_.find(name);
  return found == accounts_.end() ? nullptr : &found->second;
}

Account* Grants::ParentOf(const Account& account) {
  return account.grant.parent.empty() ? nullptr : Find(account.grant.parent);
}

const Account* Grants::ParentOf(const Account& account) const {
  return account.grant.parent.empty() ? nullptr : Find(account.grant.parent);
}

absl::Status Grants::Apply(const GrantChange& change) {
  REENACT_RETURN_IF_ERROR(CheckGrantChange(change));
  const Grant& grant = change.grant;
  if (change.op == Op::kCreate) return Create(grant);
  Account* const account = Find(grant.name);
  if (account == nullptr) {
    REENACT_PROBE("grants: a change of one that is not there");
    return absl::NotFoundError("there is no " + GrantNamed(grant.name));
  }
  if (account->revoked) {
    REENACT_PROBE("grants: a change of one that was revoked");
    return absl::FailedPreconditionError(GrantNamed(grant.name) +
                                         " was revoked");
  }
  switch (change.op) {
    case Op::kCreate:
      break;
    case Op::kAdd:
      return AddLimit(grant.limit, account);
    case Op::kTake:
      return TakeLimit(grant.limit, account);
    case Op::kAmend:
      REENACT_PROBE("grants: one is amended");
      account->grant.kinds = grant.kinds;
      account->grant.where = grant.where;
      account->grant.expires = grant.expires;
      break;
    case Op::kRevoke:
      Revoke(AliveChildren(), account);
      break;
  }
  return absl::OkStatus();
}

absl::Status Grants::Create(const Grant& grant) {
  if (const Account* const there = Find(grant.name)) {
    REENACT_PROBE("grants: one is made twice");
    return absl::AlreadyExistsError(
        there->revoked ? GrantNamed(grant.name) +
                             " was revoked; its name cannot be used again"
                       : GrantNamed(grant.name) + " exists");
  }
  if (accounts_.size() >= kGrantsMax) {
    return absl::OutOfRangeError("there are " + std::to_string(kGrantsMax) +
                                 " grants already");
  }
  Account account;
  account.grant = grant;
  account.grant.limit = {};
  std::size_t depth = 1;
  for (const Account* above = &account; !above->grant.parent.empty();) {
    const std::string& name = above->grant.parent;
    above = Find(name);
    if (above == nullptr) {
      return absl::NotFoundError("there is no " + GrantNamed(name));
    }
    if (above->revoked) {
      return absl::FailedPreconditionError(GrantNamed(name) + " was revoked");
    }
    if (++depth > Grant::kDepthMax) {
      return absl::OutOfRangeError("more than " +
                                   std::to_string(Grant::kDepthMax) +
                                   " grants split from one another");
    }
  }
  REENACT_RETURN_IF_ERROR(AddLimit(grant.limit, &account));
  accounts_.emplace(grant.name, std::move(account));
  return absl::OkStatus();
}

absl::Status Grants::AddLimit(const Amounts& amounts, Account* account) {
  Amounts limit = account->grant.limit;
  if (!limit.Add(amounts) || limit.items().size() > Amounts::kDimensionsMax) {
    return absl::OutOfRangeError(
        "the limit of " + GrantNamed(account->grant.name) +
        " would have more than 64 bits or too many dimensions");
  }
  if (Account* const parent = ParentOf(*account)) {
    REENACT_PROBE("grants: a part of another");
    REENACT_RETURN_IF_ERROR(NotEnough(*parent, amounts));
    TakeFrom(&parent->free, amounts);
    AddTo(&parent->split, amounts);
  }
  account->grant.limit = std::move(limit);
  Release(amounts, account);
  return absl::OkStatus();
}

absl::Status Grants::TakeLimit(const Amounts& amounts, Account* account) {
  REENACT_RETURN_IF_ERROR(NotEnough(*account, amounts));
  REENACT_PROBE("grants: a limit is taken");
  TakeFrom(&account->free, amounts);
  PassUp(amounts, account);
  return absl::OkStatus();
}

Grants::Children Grants::AliveChildren() {
  Children children;
  for (auto& [name, account] : accounts_) {
    if (account.revoked || account.grant.parent.empty()) continue;
    children[account.grant.parent].push_back(&account);
  }
  return children;
}

void Grants::Revoke(const Children& children, Account* account) {
  if (const auto found = children.find(account->grant.name);
      found != children.end()) {
    for (Account* const child : found->second) Revoke(children, child);
  }
  REENACT_PROBE("grants: one is revoked");
  REENACT_PROBE_IF(!account->reserved.empty(),
                   "grants: revoked with work in flight");
  account->revoked = true;
  PassUp(std::exchange(account->free, {}), account);
}

void Grants::Release(const Amounts& amounts, Account* account) {
  const Amounts paid = Least(account->overrun, amounts);
  TakeFrom(&account->overrun, paid);
  AddTo(&account->spent, paid);
  REENACT_PROBE_IF(!paid.empty(), "grants: an overrun is paid");
  const Amounts rest = Minus(amounts, paid);
  if (REENACT_SEEN(account->revoked,
                   "grants: what a revoked one gets goes up")) {
    PassUp(rest, account);
  } else {
    AddTo(&account->free, rest);
  }
}

void Grants::PassUp(const Amounts& amounts, Account* account) {
  TakeFrom(&account->grant.limit, amounts);
  if (Account* const parent = ParentOf(*account)) {
    TakeFrom(&parent->split, amounts);
    Release(amounts, parent);
  }
}

absl::Status Grants::CheckAlive(const Account& account, LogicalTime now) const {
  for (const Account* above = &account; above; above = ParentOf(*above)) {
    if (above->revoked) return Denied(above->grant, "was revoked");
    if (HasExpired(above->grant, now)) {
      REENACT_PROBE("grants: one has expired");
      return Denied(
          above->grant,
          "expired at " + std::to_string(above->grant.expires->value));
    }
  }
  return absl::OkStatus();
}

absl::Status Grants::Check(const EffectFacts& facts, LogicalTime now) const {
  static const Amounts kNothing;
  const Amounts& reserve = facts.reserve ? *facts.reserve : kNothing;
  if (facts.capability.empty()) {
    if (reserve.empty()) return absl::OkStatus();
    return absl::PermissionDeniedError(
        "reserves " + reserve.ToString() +
        " without a capability whose grant could pay for it");
  }
  const Account* const account = Find(facts.capability);
  if (account == nullptr) {
    return absl::NotFoundError("there is no " + GrantNamed(facts.capability));
  }
  REENACT_RETURN_IF_ERROR(CheckAlive(*account, now));
  for (const Account* above = account; above; above = ParentOf(*above)) {
    REENACT_RETURN_IF_ERROR(CheckRules(above->grant, facts));
  }
  return NotEnough(*account, reserve);
}

bool Grants::Affords(std::string_view capability, const Amounts& amounts,
                     LogicalTime now) const {
  const Account* const account = Find(capability);
  return account != nullptr && amounts.FitIn(account->free) &&
         CheckAlive(*account, now).ok();
}

void Grants::Reserve(std::string_view capability, const Amounts& amounts) {
  if (amounts.empty()) return;
  Account* const account = Find(capability);
  REENACT_CHECK(account != nullptr);
  TakeFrom(&account->free, amounts);
  AddTo(&account->reserved, amounts);
}

Amounts Grants::Settle(std::string_view capability, const Amounts& reserved,
                       const Amounts& usage) {
  if (capability.empty()) return {};
  Account* const account = Find(capability);
  REENACT_CHECK(account != nullptr);
  TakeFrom(&account->reserved, reserved);
  const Amounts within = Least(usage, reserved);
  REENACT_PROBE_IF(within != reserved, "grants: something is given back");
  REENACT_PROBE_IF(within != usage, "grants: it cost more than was reserved");
  AddTo(&account->spent, within);
  Release(Minus(reserved, within), account);

  const Amounts more = Minus(usage, within);
  const Amounts covered = Least(more, account->free);
  TakeFrom(&account->free, covered);
  AddTo(&account->spent, covered);
  const Amounts beyond = Minus(more, covered);
  NoteOverrun(beyond, account);
  return beyond;
}

absl::Status Grants::CheckConservation() const {
  for (const auto& [name, account] : accounts_) {
    REENACT_RETURN_IF_ERROR(CheckAccount(account));
  }
  REENACT_RETURN_IF_ERROR(CheckDepth());
  return CheckSplit();
}

absl::Status Grants::CheckDepth() const {
  for (const auto& [name, account] : accounts_) {
    std::size_t depth = 0;
    for (const Account* above = &account; above; above = ParentOf(*above)) {
      if (++depth > Grant::kDepthMax)
        return Broken(account, "is split too deep");
    }
  }
  return absl::OkStatus();
}

absl::Status Grants::CheckSplit() const {
  std::map<std::string_view, Amounts> split;
  for (const auto& [name, account] : accounts_) {
    if (account.grant.parent.empty()) continue;
    const Account* const parent = ParentOf(account);
    if (parent == nullptr) return Broken(account, "has a parent that is not");
    if (parent->revoked && !account.revoked) {
      return Broken(account, "outlives its parent");
    }
    if (!split[account.grant.parent].Add(account.grant.limit)) {
      return Broken(*parent, "children have more than 64 bits");
    }
  }
  for (const auto& [name, account] : accounts_) {
    if (account.split != split[name]) {
      return Broken(account, "split " + account.split.ToString() +
                                 " is not what children have, " +
                                 split[name].ToString());
    }
  }
  return absl::OkStatus();
}

}  // namespace reenact
