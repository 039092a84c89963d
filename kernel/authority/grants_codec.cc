// How grants, and changes of them, are written.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

using Account = Grants::Account;
using Op = GrantChange::Op;

// Keys of the maps; spec/authority.md. Never reused for anything else.
enum Key : std::uint64_t {
  kOpKey = 0,  // of a change
  kNameKey = 1,
  kParentKey = 2,
  kKindsKey = 3,
  kWhereKey = 4,
  kExpiresKey = 5,
  kLimitKey = 6,
  kRevokedKey = 7,  // this and the rest: of an account
  kFreeKey = 8,
  kReservedKey = 9,
  kSpentKey = 10,
  kSplitKey = 11,
  kOverrunKey = 12,
};

// Which fields are not empty.
std::uint64_t CountFields(const Grant& grant) {
  return std::uint64_t{1} + !grant.parent.empty() + !grant.kinds.empty() +
         !grant.where.empty() + grant.expires.has_value() +
         !grant.limit.empty();
}

void EncodeGrantFields(const Grant& grant, cbor::Encoder& encoder) {
  encoder.Unsigned(kNameKey);
  encoder.Text(grant.name);
  if (!grant.parent.empty()) {
    encoder.Unsigned(kParentKey);
    encoder.Text(grant.parent);
  }
  if (!grant.kinds.empty()) {
    encoder.Unsigned(kKindsKey);
    encoder.Array(grant.kinds.size());
    for (const std::string& kind : grant.kinds) encoder.Text(kind);
  }
  if (!grant.where.empty()) {
    encoder.Unsigned(kWhereKey);
    encoder.Array(grant.where.size());
    for (const Predicate& predicate : grant.where) {
      EncodePredicate(predicate, encoder);
    }
  }
  if (grant.expires) {
    encoder.Unsigned(kExpiresKey);
    encoder.Integer(grant.expires->value);
  }
  if (!grant.limit.empty()) {
    encoder.Unsigned(kLimitKey);
    grant.limit.Encode(encoder);
  }
}

// Reads a map whose keys ascend and some of which are left out.
class FieldReader {
 public:
  explicit FieldReader(cbor::Reader& reader)
      : reader_(reader), left_(reader.Map()) {}

  // Whether the next key is this one; then its value is next.
  bool Next(Key key) {
    if (left_ == 0 || !reader_.Take(key)) return false;
    --left_;
    return true;
  }
  void Expect(Key key) {
    if (!Next(key)) reader_.Fail("a key is missing");
  }
  void ExpectEnd() {
    if (left_ != 0) reader_.Fail("a key is unknown or out of order");
  }

 private:
  cbor::Reader& reader_;
  std::uint64_t left_;
};

// The items of a list that is left out if empty, so here it is not.
template <typename Item, typename Decode>
std::vector<Item> DecodeList(std::size_t most, Decode decode,
                             cbor::Reader& reader) {
  std::vector<Item> items;
  const std::uint64_t count = reader.Array();
  if (count == 0 || count > most)
    reader.Fail("a list has no item, or too many");
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    items.push_back(decode());
  }
  return items;
}

Amounts DecodeAmounts(cbor::Reader& reader) {
  Amounts amounts = Amounts::Decode(reader);
  if (amounts.empty()) reader.Fail("the amounts are empty; omit the key");
  return amounts;
}

Grant DecodeGrantFields(FieldReader& fields, cbor::Reader& reader) {
  Grant grant;
  fields.Expect(kNameKey);
  grant.name = reader.Text();
  if (fields.Next(kParentKey)) {
    grant.parent = reader.Text();
    if (grant.parent.empty()) reader.Fail("the parent is empty; omit the key");
  }
  if (fields.Next(kKindsKey)) {
    grant.kinds = DecodeList<std::string>(
        Grant::kKindsMax, [&] { return std::string(reader.Text()); }, reader);
  }
  if (fields.Next(kWhereKey)) {
    grant.where = DecodeList<Predicate>(
        Grant::kWhereMax, [&] { return DecodePredicate(reader); }, reader);
  }
  if (fields.Next(kExpiresKey)) grant.expires = LogicalTime{reader.Integer()};
  if (fields.Next(kLimitKey)) grant.limit = DecodeAmounts(reader);
  return grant;
}

struct AccountField {
  Key key;
  const char* name;
  Amounts Account::*amounts;
};
constexpr AccountField kAccountFields[] = {
    {kFreeKey, "free", &Account::free},
    {kReservedKey, "reserved", &Account::reserved},
    {kSpentKey, "spent", &Account::spent},
    {kSplitKey, "split", &Account::split},
    {kOverrunKey, "overrun", &Account::overrun},
};

void EncodeAccount(const Account& account, cbor::Encoder& encoder) {
  std::uint64_t count = CountFields(account.grant) + account.revoked;
  for (const AccountField& field : kAccountFields) {
    count += !(account.*field.amounts).empty();
  }
  encoder.Map(count);
  EncodeGrantFields(account.grant, encoder);
  if (account.revoked) {
    encoder.Unsigned(kRevokedKey);
    encoder.Bool(true);
  }
  for (const AccountField& field : kAccountFields) {
    const Amounts& amounts = account.*field.amounts;
    if (amounts.empty()) continue;
    encoder.Unsigned(field.key);
    amounts.Encode(encoder);
  }
}

Account DecodeAccount(cbor::Reader& reader) {
  Account account;
  FieldReader fields(reader);
  account.grant = DecodeGrantFields(fields, reader);
  if (fields.Next(kRevokedKey)) {
    account.revoked = reader.Bool();
    if (!account.revoked) reader.Fail("revoked is false; omit the key");
  }
  for (const AccountField& field : kAccountFields) {
    if (fields.Next(field.key)) {
      account.*field.amounts = DecodeAmounts(reader);
    }
  }
  fields.ExpectEnd();
  return account;
}

}  // namespace

void EncodeGrantChange(const GrantChange& change, cbor::Encoder& encoder) {
  encoder.Map(1 + CountFields(change.grant));
  encoder.Unsigned(kOpKey);
  encoder.Unsigned(static_cast<std::uint64_t>(change.op));
  EncodeGrantFields(change.grant, encoder);
}

GrantChange DecodeGrantChange(cbor::Reader& reader) {
  GrantChange change;
  FieldReader fields(reader);
  fields.Expect(kOpKey);
  const std::uint64_t op = reader.Unsigned();
  if (op > static_cast<std::uint64_t>(Op::kRevoke))
    reader.Fail("the operation is unknown");
  if (!reader.ok()) return {};
  change.op = static_cast<Op>(op);
  change.grant = DecodeGrantFields(fields, reader);
  fields.ExpectEnd();
  if (!reader.ok()) return {};
  const absl::Status status = CheckGrantChange(change);
  if (status.ok()) return change;
  reader.Fail(ToStd(status.message()));
  return {};
}

void Grants::Encode(cbor::Encoder& encoder) const {
  encoder.Array(accounts_.size());
  for (const auto& [name, account] : accounts_) EncodeAccount(account, encoder);
}

Grants Grants::Decode(cbor::Reader& reader) {
  Grants grants;
  const std::uint64_t count = reader.Array();
  if (count > kGrantsMax) reader.Fail("there are too many grants");
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Account account = DecodeAccount(reader);
    if (!reader.ok()) break;
    const absl::Status status = CheckGrant(account.grant);
    if (!status.ok()) reader.Fail(ToStd(status.message()));
    Accounts& accounts = grants.accounts_;
    if (!accounts.empty() && accounts.rbegin()->first >= account.grant.name) {
      reader.Fail("the grants are out of order");
    }
    std::string name = account.grant.name;
    accounts.emplace_hint(accounts.end(), std::move(name), std::move(account));
  }
  if (!reader.ok()) return {};
  const absl::Status status = grants.CheckConservation();
  if (status.ok()) return grants;
  reader.Fail(ToStd(status.message()));
  return {};
}

}  // namespace reenact
