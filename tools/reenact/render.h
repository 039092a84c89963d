// Journal entries for people and scripts: names instead of numbers.

#ifndef REENACT_TOOLS_REENACT_RENDER_H_
#define REENACT_TOOLS_REENACT_RENDER_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "reenact/journal/entry.h"
#include "reenact/kernel/ids.h"
#include "reenact/kernel/outcome.h"
#include "tools/reenact/json.h"

namespace reenact::tools {

// The name of a reducer by number.
using NameOf = std::function<std::string(ReducerId)>;

// The ticket that an entry is about; nullopt if it is about none.
std::optional<EventId> TicketOf(const Entry& entry);

// {"calls": 1, "bytes": 512}
Json AmountsJson(const Amounts& amounts);

// What an entry says, without its kind and its ticket. Cells are "reducer/key".
Json EntryFields(const Entry& entry, const NameOf& name_of);

// "7 StepCommitted {...}"; "-" for an entry without a ticket.
std::string EntryLine(const Entry& entry, const NameOf& name_of);
// {"block": 3, "event_id": 7, "kind": "StepCommitted", ...}
Json EntryJson(std::uint64_t block, const Entry& entry, const NameOf& name_of);

// "reducer/key"
std::string CellName(std::string_view reducer, std::string_view key);

// The kind whose name is `name`, whatever its case.
std::optional<EntryKind> FindEntryKind(std::string_view name);
// All names, with commas.
std::string EntryKindNames();

}  // namespace reenact::tools

#endif  // REENACT_TOOLS_REENACT_RENDER_H_
