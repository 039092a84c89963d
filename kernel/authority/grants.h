// Who may spend what: grants, and the budgets behind them.

#ifndef REENACT_KERNEL_AUTHORITY_GRANTS_H_
#define REENACT_KERNEL_AUTHORITY_GRANTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/authority/predicate.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// A named permission to have effects, and what they may cost together. Names
// are never used again: what the journal says about one is about one grant.
struct Grant {
  static constexpr std::size_t kKindsMax = 256;
  static constexpr std::size_t kWhereMax = 64;
  static constexpr std::size_t kDepthMax = 16;  // of parents, itself included

  std::string name;  // what EffectIntent::capability says; as a reducer's name
  std::string parent;  // the grant it was split from; empty: none
  // Effect kinds it is good for: "http.request", or "blob.*" for all that begin
  // so; none: every kind.
  std::vector<std::string> kinds;
  std::vector<Predicate> where;        // all must hold for the parameters
  std::optional<LogicalTime> expires;  // from then on it permits nothing
  // What there is in all. A dimension that is not named cannot be spent.
  Amounts limit;

  friend bool operator==(const Grant&, const Grant&) = default;
};

// A change of grants: what the control input GrantChanged holds.
struct GrantChange {
  // Numbers are part of the format.
  enum class Op : std::uint8_t {
    kCreate = 0,  // `grant`; with a parent its limit is taken from what the
                  // parent has free, and it permits no more than the parent
    kAdd = 1,     // `grant.limit` more, from the parent if there is one
    kTake = 2,    // `grant.limit` less, out of what is free
    kAmend = 3,   // kinds, where and expires as in `grant`
    kRevoke =
        4,  // permits nothing any more, nor do those split from it; what
            // is free returns to the parent, what is reserved once settled
  };
  Op op = Op::kCreate;
  Grant grant;  // what the operation does not name is empty

  friend bool operator==(const GrantChange&, const GrantChange&) = default;
};
// OK, or InvalidArgument: what makes no sense whatever grants there are.
absl::Status CheckGrant(const Grant& grant);
absl::Status CheckGrantChange(const GrantChange& change);

// A grant as people write it: {"name": "crawler", "parent": "all", "kinds":
// ["http.request"], "where": [{"path": "url", "host": "example.com"}],
// "expires": 1000, "limit": {"calls": 100}}; only the name has to be there.
// InvalidArgument: what makes no sense, and where: "where[0].host: ...".
absl::StatusOr<Grant> ParseGrant(const cbor::Value& document);

// One CBOR map; keys are in spec/authority.md. Decode: the reader fails on
// anything that Encode does not write, and where CheckGrantChange() does.
void EncodeGrantChange(const GrantChange& change, cbor::Encoder& encoder);
GrantChange DecodeGrantChange(cbor::Reader& reader);

// All grants of a world and where their budgets went.
//
// Invariants, between calls, for every grant and dimension:
//   (1) limit = free + reserved + spent + split;
//   (2) split = the sum of the children's limits, so that over a tree what is
//       free, reserved and spent adds up to the limit of its root;
//   (3) what is spent beyond the limit stands in `overrun` and nowhere else,
//       and while there is some, nothing is free: whatever becomes free pays it
//       first;
//   (4) a revoked grant has nothing free, and its children are revoked.
//
// A revoked grant keeps the limit that is needed for what it has spent and
// reserved. What it has free leaves its limit and its parent's split, and is
// free with the parent, at once; so does what a settlement releases later. With
// a revoked parent it goes on upwards; with no parent it is gone. Revoking
// begins with the children, in order of name, so that what they have free is
// passed on as well.
//
// A pure value: the same calls in the same order give the same bytes.
//
// Thread safety: none.
class Grants {
 public:
  struct Account {
    Grant grant;
    bool revoked = false;
    Amounts free;
    Amounts reserved;
    Amounts spent;
    Amounts split;    // limits of its children
    Amounts overrun;  // settled beyond what was there, and not yet paid

    friend bool operator==(const Account&, const Account&) = default;
  };

  // InvalidArgument: the change makes no sense by itself. NotFound,
  // AlreadyExists: the grant or its parent. FailedPrecondition: revoked.
  // ResourceExhausted: there is less free than is to be taken. OutOfRange: a
  // limit would have more than 64 bits or too many dimensions, a grant too many
  // parents, a world more than kGrantsMax grants. Nothing changes unless OK.
  absl::Status Apply(const GrantChange& change);
  static constexpr std::size_t kGrantsMax = 1 << 20;

  // Whether an effect may be had under its capability now, and is paid for.
  // OK without a capability if nothing is to be reserved.
  // NotFound: no such grant. PermissionDenied: revoked, expired, of another
  // kind, or a parameter that `where` does not let pass, of it or of any it was
  // split from; or something to reserve without a capability.
  // ResourceExhausted: less free than it reserves; the message names the
  // dimension.
  absl::Status Check(const EffectFacts& facts, LogicalTime now) const;

  // Whether `amounts` could be reserved under `capability`: the predicate that
  // steps ask. False if there is no such grant.
  bool Affords(std::string_view capability, const Amounts& amounts,
               LogicalTime now) const;

  // REQUIRES: Check() was OK for them; or Affords() was true.
  void Reserve(std::string_view capability, const Amounts& amounts);
  // Ends a reservation: `usage` is spent, the rest is free again. What goes
  // beyond the reservation comes out of what is free, and what goes beyond that
  // is returned, and noted as overrun: with at most 2^64-1 of a dimension, and
  // with Amounts::kDimensionsMax dimensions, of which those that the limit
  // names go first. Never fails. Without a capability nothing is accounted.
  // REQUIRES: `reserved` was reserved and not settled.
  Amounts Settle(std::string_view capability, const Amounts& reserved,
                 const Amounts& usage);

  const std::map<std::string, Account, std::less<>>& accounts() const {
    return accounts_;
  }
  bool empty() const { return accounts_.empty(); }

  // Internal: which invariant is broken, where. O(all grants).
  absl::Status CheckConservation() const;

  // One CBOR item, in spec/authority.md; equal grants, equal bytes. Decode: the
  // reader fails on anything that Encode does not write, and on broken
  // invariants.
  void Encode(cbor::Encoder& encoder) const;
  static Grants Decode(cbor::Reader& reader);

  friend bool operator==(const Grants&, const Grants&) = default;

 private:
  using Accounts = std::map<std::string, Account, std::less<>>;
  // By the parent's name; each list by name.
  using Children = std::map<std::string_view, std::vector<Account*>>;

  Account* Find(std::string_view name);
  const Account* Find(std::string_view name) const;
  // Null without a parent.
  Account* ParentOf(const Account& account);
  const Account* ParentOf(const Account& account) const;

  absl::Status Create(const Grant& grant);
  absl::Status AddLimit(const Amounts& amounts, Account* account);
  absl::Status TakeLimit(const Amounts& amounts, Account* account);
  Children AliveChildren();
  void Revoke(const Children& children, Account* account);
  // Free from now on, after overrun is paid; with the parent, if revoked.
  void Release(const Amounts& amounts, Account* account);
  // Takes what is free out of the limit and gives it to the parent.
  void PassUp(const Amounts& amounts, Account* account);
  // Whether the grant, or one it was split from, permits nothing now.
  absl::Status CheckAlive(const Account& account, LogicalTime now) const;
  absl::Status CheckSplit() const;
  absl::Status CheckDepth() const;

  Accounts accounts_;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_AUTHORITY_GRANTS_H_
