// What enters a world and what its steps raise.

#ifndef REENACT_KERNEL_EVENT_H_
#define REENACT_KERNEL_EVENT_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include "reenact/base/bytes.h"
#include "reenact/kernel/ids.h"

namespace reenact {

// One keyed instance of a reducer.
struct CellId {
  std::string reducer;
  std::string key;  // UTF-8

  friend auto operator<=>(const CellId&, const CellId&) = default;
};

// A fact that a cell should react to.
struct Event {
  std::string reducer;
  std::string key;     // UTF-8, at most Limits::key_bytes_max
  std::string schema;  // names the payload's shape; the reducer's own affair
  Bytes payload;       // one canonical CBOR item

  friend bool operator==(const Event&, const Event&) = default;
};

// How many priorities external events have; 0 goes first.
inline constexpr std::uint8_t kPriorities = 4;
inline constexpr std::uint8_t kPriorityDefault = 1;

// The longest Input::submission_id.
inline constexpr std::size_t kSubmissionIdBytesMax = 64;

// An event on its way in from outside, with what the outside says about it.
struct Input {
  Event event;

  // Makes a resubmission harmless: an input whose id was admitted before,
  // within the world's dedupe horizon, is not admitted again. Empty: no such
  // check. At most kSubmissionIdBytesMax.
  std::string submission_id;

  std::uint8_t priority = kPriorityDefault;

  // When it happened, for worlds whose clock is `input`; else ignored.
  LogicalTime time;

  // Where it stands in the file or stream that it came from (record number,
  // from 1), so that reading can go on there. 0: it came from none.
  std::uint64_t position = 0;

  friend bool operator==(const Input&, const Input&) = default;
};

// Why a ticket exists: the input that asked for it, or the step that raised it.
struct Cause {
  InputId input;            // 0 if it was raised by a step
  EventId parent;           // 0 if it came from outside
  std::uint32_t index = 0;  // among what `parent` raised, from 0

  bool is_input() const { return input.value != 0; }
  friend bool operator==(const Cause&, const Cause&) = default;
};

}  // namespace reenact

#endif  // REENACT_KERNEL_EVENT_H_
