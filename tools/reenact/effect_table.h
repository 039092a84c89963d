// Every effect that a world ever had, and where its budgets went, out of its
// journal.

#ifndef REENACT_TOOLS_REENACT_EFFECT_TABLE_H_
#define REENACT_TOOLS_REENACT_EFFECT_TABLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/status.h"
#include "reenact/journal/archive.h"
#include "reenact/kernel/authority/amounts.h"
#include "reenact/kernel/authority/grants.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact::tools {

// Thread safety: as for an int.
class EffectTable {
 public:
  // What became of an effect.
  enum class State { kOpen, kHeld, kDone, kFailed };
  struct Row {
    Digest intent_hash;
    EventId event_id;
    std::uint32_t index = 0;
    std::string cell;  // "agent/ann"
    std::string kind;
    std::string capability;
    State state = State::kOpen;
    std::string status;    // "ok", "timeout" ...; empty: it has not ended
    std::string reason;    // why it is held, denied or was closed
    std::string executor;  // who answered
    Amounts reserved;      // while it has not ended
    Amounts usage;         // what its receipt says
    bool cached = false;   // answered by an earlier receipt
  };

  // Reads the journal from its beginning. Errors: the archive's.
  static absl::StatusOr<EffectTable> Read(const Archive& archive);

  const std::vector<Row>& rows() const { return rows_; }  // by ticket, index
  const Grants& grants() const { return grants_; }
  // The policy in force: its document, one CBOR item; empty: none.
  const Bytes& policy() const { return policy_; }
  // What came in a receipt's place and was put on record.
  std::uint64_t refused() const { return refused_; }

  // The one effect that has this hash, or whose hash begins so.
  // InvalidArgument: fewer than six hexadecimal digits, or more than one has.
  // NotFound: none has.
  absl::StatusOr<Digest> FindIntent(std::string_view hex) const;

 private:
  friend class EffectReader;

  std::vector<Row> rows_;
  std::map<Digest, std::size_t> by_hash_;
  Grants grants_;
  Bytes policy_;
  std::uint64_t refused_ = 0;
};

std::string_view StateName(EffectTable::State state);  // "open"

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_EFFECT_TABLE_H_
