// What a world is made with. Recorded at genesis, and part of every digest.

#ifndef REENACT_KERNEL_CONFIG_H_
#define REENACT_KERNEL_CONFIG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// The newest format this code writes, and the oldest it reads. Worlds of format
// 1 record intents and do nothing about them. A world keeps the format it was
// made with; what a newer format records is refused or left out in it.
inline constexpr std::uint64_t kFormatVersion = 3;
inline constexpr std::uint64_t kFormatVersionEffects = 2;
inline constexpr std::uint64_t kFormatVersionSources = 3;
// Intents may have a business identity and share one answer.
inline constexpr std::uint64_t kFormatVersionSharing = 3;
// From this one on a step is held to the limits of what it reserves and of when
// its timers are due.
inline constexpr std::uint64_t kFormatVersionLimits = 3;
inline constexpr std::uint64_t kFormatVersionFailures = 3;  // FailureOrdered
// Intents and policies may have retry rules, and EffectQueued has what applies.
inline constexpr std::uint64_t kFormatVersionRetries = 3;
inline constexpr std::uint64_t kFormatVersionOldest = 1;

// What a round's logical time is; see spec/scheduling.md.
enum class ClockKind : std::uint8_t {
  kRounds = 0,  // the number of the round
  kInput = 1,   // the latest Input::time admitted so far
  kWall = 2,    // the machine's clock, in microseconds, made monotonic
};

// What one step may use. A step that goes beyond fails; nothing else happens.
struct Limits {
  std::uint64_t payload_bytes_max = 1 << 20;  // of one event
  std::uint64_t key_bytes_max = 1024;
  std::uint64_t output_bytes_max = 4 << 20;  // states, events and effects
  std::uint64_t events_max = 1024;
  std::uint64_t effects_max = 256;
  std::uint64_t fuel_max = 1'000'000;

  friend bool operator==(const Limits&, const Limits&) = default;
};

// How rounds are composed; spec/scheduling.md has the rules.
struct Scheduling {
  std::uint64_t round_limit = 1024;        // units in a round, at most
  std::uint64_t pipeline_depth = 2;        // d: derived in r, eligible in r+d
  std::uint64_t entity_round_limit = 256;  // units of one entity in a round
  std::uint64_t entity_quantum = 8;        // units per visit of an entity
  // Units per visit of a class: due timers, receipts and control; derived
  // events; external events by priority.
  std::array<std::uint64_t, 2 + kPriorities> class_quantum = {64, 64, 64,
                                                              32, 16, 8};
  // Tickets that a unit waits before it goes ahead of every class.
  std::uint64_t aging_tickets = 16384;
  // Units of external origin that wait to be ticketed, at most.
  std::uint64_t backlog_limit = 16384;
  // How many of the latest submission ids are remembered.
  std::uint64_t dedupe_horizon = 65536;

  friend bool operator==(const Scheduling&, const Scheduling&) = default;
};

// A shared library, or the program itself, that brought reducers.
struct ModuleRecord {
  std::string name;
  std::string version;
  Digest digest;  // of the library's file, or of names for built-in reducers
  std::vector<std::string> reducers;

  friend bool operator==(const ModuleRecord&, const ModuleRecord&) = default;
};

inline constexpr std::size_t kWorldIdSize = 16;

struct WorldConfig {
  std::uint64_t format_version = kFormatVersion;
  Bytes world_id;  // 16 bytes, of this world alone
  Digest seed;     // key of every step's seed; see SetSeed()
  ClockKind clock = ClockKind::kRounds;
  Limits limits;
  Scheduling scheduling;
  std::uint64_t snapshot_every = 0;  // rounds; 0: only when asked for

  // The modules, and through them the reducer table: a ReducerId is an index
  // into `reducers`. Names are never removed or moved, only added at the end.
  std::vector<ModuleRecord> modules;
  std::vector<std::string> reducers;

  friend bool operator==(const WorldConfig&, const WorldConfig&) = default;
};

// Appends the configuration as one CBOR map; keys are in spec/journal.md.
void EncodeConfig(const WorldConfig& config, cbor::Encoder& encoder);

// InvalidArgument: not such a map. Unimplemented: format_version is newer than
// kFormatVersion.
absl::StatusOr<WorldConfig> DecodeConfig(cbor::Reader& reader);

// Parts of it, as journal entries that change them hold them: the same items
// that stand in the whole configuration. A decoder that fails makes the reader
// fail.
void EncodeScheduling(const Scheduling& scheduling, cbor::Encoder& encoder);
Scheduling DecodeScheduling(cbor::Reader& reader);
void EncodeModules(const std::vector<ModuleRecord>& modules,
                   cbor::Encoder& encoder);
std::vector<ModuleRecord> DecodeModules(cbor::Reader& reader);

// OK, or InvalidArgument with the field that makes no sense.
absl::Status CheckConfig(const WorldConfig& config);

// The random numbers of a world that `seed` alone decides: 0 is a fine default.
void SetSeed(std::uint64_t seed, WorldConfig& config);

// The seed and the world id that `seed` alone decides, so that worlds made
// alike are the same bytes. For tests and comparisons: whatever tells worlds
// apart by their ids (idempotency keys, messages, receipts) takes such worlds
// for one.
void SetIdentity(std::uint64_t seed, WorldConfig& config);

// A world id that no other world has, from the machine's randomness. What
// World::Open() gives a new world whose `world_id` is empty.
Bytes DrawWorldId();

}  // namespace reenact

#endif  // REENACT_KERNEL_CONFIG_H_
