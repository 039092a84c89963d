#include "reenact/kernel/config.h"

#include <limits>
#include <set>

#include "reenact/kernel/reducer.h"

namespace reenact {
namespace {

// Keys of the maps; spec/journal.md. Never reused for anything else.
enum ConfigKey : std::uint64_t {
  kFormatVersionKey = 1,
  kWorldIdKey = 2,
  kSeedKey = 3,
  kClockKey = 4,
  kLimitsKey = 5,
  kSchedulingKey = 6,
  kSnapshotEveryKey = 7,
  kModulesKey = 8,
  kReducersKey = 9,
  kConfigSize = 9,
};

enum ModuleKey : std::uint64_t {
  kModuleNameKey = 1,
  kModuleVersionKey = 2,
  kModuleDigestKey = 3,
  kModuleReducersKey = 4,
  kModuleSize = 4,
};

// A whole number of a struct: what it is called, where it is, and what makes
// sense. Its key is its place in the list, from 1.
template <typename Struct>
struct Field {
  const char* name;
  std::uint64_t Struct::*member;
  std::uint64_t low;
  std::uint64_t high;
};

// Counts are indexes of 32 bits elsewhere.
constexpr std::uint64_t kCountMax = std::numeric_limits<std::uint32_t>::max();

constexpr Field<Limits> kLimitsFields[] = {
    {"limits.payload_bytes_max", &Limits::payload_bytes_max, 1, kCountMax},
    {"limits.key_bytes_max", &Limits::key_bytes_max, 1, kCountMax},
    {"limits.output_bytes_max", &Limits::output_bytes_max, 1, kCountMax},
    {"limits.events_max", &Limits::events_max, 0, kCountMax},
    {"limits.effects_max", &Limits::effects_max, 0, kCountMax},
    {"limits.fuel_max", &Limits::fuel_max, 1,
     std::numeric_limits<std::int64_t>::max()},
};

// The keys of the scheduling map; class_quantum is an array among numbers.
constexpr Field<Scheduling> kSchedulingBefore[] = {
    {"scheduling.round_limit", &Scheduling::round_limit, 1, kCountMax},
    {"scheduling.pipeline_depth", &Scheduling::pipeline_depth, 1, 1024},
    {"scheduling.entity_round_limit", &Scheduling::entity_round_limit, 1,
     kCountMax},
    {"scheduling.entity_quantum", &Scheduling::entity_quantum, 1, kCountMax},
};
constexpr std::uint64_t kClassQuantumKey = 5;
constexpr Field<Scheduling> kSchedulingAfter[] = {
    {"scheduling.aging_tickets", &Scheduling::aging_tickets, 1, kCountMax},
    {"scheduling.backlog_limit", &Scheduling::backlog_limit, 1, kCountMax},
    {"scheduling.dedupe_horizon", &Scheduling::dedupe_horizon, 0, kCountMax},
};
constexpr std::uint64_t kSchedulingSize = 8;

template <typename Struct, std::size_t kSize>
void EncodeFields(const Struct& values, const Field<Struct> (&fields)[kSize],
                  std::uint64_t key, cbor::Encoder& encoder) {
  for (const Field<Struct>& field : fields) {
    encoder.Unsigned(key++);
    encoder.Unsigned(values.*field.member);
  }
}

template <typename Struct, std::size_t kSize>
void DecodeFields(const Field<Struct> (&fields)[kSize], std::uint64_t key,
                  cbor::Reader& reader, Struct& values) {
  for (const Field<Struct>& field : fields) {
    reader.ExpectKey(key++);
    values.*field.member = reader.Unsigned();
  }
}

absl::Status CheckRange(const char* name, std::uint64_t value,
                        std::uint64_t low, std::uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      std::string(name) + " is " + std::to_string(value) + ", not from " +
      std::to_string(low) + " to " + std::to_string(high));
}

template <typename Struct, std::size_t kSize>
absl::Status CheckFields(const Struct& values,
                         const Field<Struct> (&fields)[kSize]) {
  for (const Field<Struct>& field : fields) {
    REENACT_RETURN_IF_ERROR(
        CheckRange(field.name, values.*field.member, field.low, field.high));
  }
  return absl::OkStatus();
}

void EncodeLimits(const Limits& limits, cbor::Encoder& encoder) {
  encoder.Map(std::size(kLimitsFields));
  EncodeFields(limits, kLimitsFields, 1, encoder);
}

Limits DecodeLimits(cbor::Reader& reader) {
  Limits limits;
  reader.ExpectMap(std::size(kLimitsFields));
  DecodeFields(kLimitsFields, 1, reader, limits);
  return limits;
}

void EncodeNames(const std::vector<std::string>& names,
                 cbor::Encoder& encoder) {
  encoder.Array(names.size());
  for (const std::string& name : names) encoder.Text(name);
}

std::vector<std::string> DecodeNames(cbor::Reader& reader) {
  std::vector<std::string> names;
  const std::uint64_t size = reader.Array();
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    names.emplace_back(reader.Text());
  }
  return names;
}

Digest DecodeDigest(cbor::Reader& reader) {
  const auto digest = Digest::FromBytes(reader.ByteString());
  if (digest.ok()) return *digest;
  reader.Fail("a digest that is not of 32 bytes");
  return Digest();
}

ClockKind DecodeClock(cbor::Reader& reader) {
  const std::uint64_t clock = reader.Unsigned();
  if (clock <= static_cast<std::uint64_t>(ClockKind::kWall)) {
    return static_cast<ClockKind>(clock);
  }
  reader.Fail("a clock that does not exist");
  return ClockKind::kRounds;
}

ModuleRecord DecodeModule(cbor::Reader& reader) {
  ModuleRecord module;
  reader.ExpectMap(kModuleSize);
  reader.ExpectKey(kModuleNameKey);
  module.name = reader.Text();
  reader.ExpectKey(kModuleVersionKey);
  module.version = reader.Text();
  reader.ExpectKey(kModuleDigestKey);
  module.digest = DecodeDigest(reader);
  reader.ExpectKey(kModuleReducersKey);
  module.reducers = DecodeNames(reader);
  return module;
}

absl::Status CheckVersion(std::uint64_t version) {
  if (version > kFormatVersion) {
    return absl::UnimplementedError(
        "format version " + std::to_string(version) +
        " is newer than this program, which knows up to " +
        std::to_string(kFormatVersion));
  }
  return CheckRange("format_version", version, kFormatVersionOldest,
                    kFormatVersion);
}

absl::Status CheckScheduling(const Scheduling& scheduling) {
  REENACT_RETURN_IF_ERROR(CheckFields(scheduling, kSchedulingBefore));
  for (const std::uint64_t quantum : scheduling.class_quantum) {
    REENACT_RETURN_IF_ERROR(
        CheckRange("scheduling.class_quantum", quantum, 1, kCountMax));
  }
  return CheckFields(scheduling, kSchedulingAfter);
}

// Names that reducers may have, none twice.
absl::Status CheckNames(const char* field,
                        const std::vector<std::string>& names) {
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (!IsReducerName(name)) {
      return absl::InvalidArgumentError(
          std::string(field) + ": " + cbor::Diagnose(cbor::EncodeText(name)) +
          " is not 1 to 64 letters, digits, '.', '_' and '-'");
    }
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(std::string(field) + ": " + name +
                                        " is there twice");
    }
  }
  return absl::OkStatus();
}

// Every module is there once, every reducer is in the table and is brought by
// one module at most.
absl::Status CheckModules(const WorldConfig& config) {
  const std::set<std::string_view> table(config.reducers.begin(),
                                         config.reducers.end());
  std::vector<std::string> modules;
  std::vector<std::string> brought;
  for (const ModuleRecord& module : config.modules) {
    modules.push_back(module.name);
    if (!cbor::IsUtf8(module.version)) {
      return absl::InvalidArgumentError("modules: the version of " +
                                        module.name + " is not UTF-8");
    }
    for (const std::string& reducer : module.reducers) {
      if (table.count(reducer) == 0) {
        return absl::InvalidArgumentError("modules: " + reducer + " of " +
                                          module.name +
                                          " is missing from reducers");
      }
      brought.push_back(reducer);
    }
  }
  REENACT_RETURN_IF_ERROR(CheckNames("modules", modules));
  return CheckNames("modules.reducers", brought);
}

}  // namespace

void EncodeScheduling(const Scheduling& scheduling, cbor::Encoder& encoder) {
  encoder.Map(kSchedulingSize);
  EncodeFields(scheduling, kSchedulingBefore, 1, encoder);
  encoder.Unsigned(kClassQuantumKey);
  encoder.Array(scheduling.class_quantum.size());
  for (const std::uint64_t quantum : scheduling.class_quantum) {
    encoder.Unsigned(quantum);
  }
  EncodeFields(scheduling, kSchedulingAfter, kClassQuantumKey + 1, encoder);
}

Scheduling DecodeScheduling(cbor::Reader& reader) {
  Scheduling scheduling;
  reader.ExpectMap(kSchedulingSize);
  DecodeFields(kSchedulingBefore, 1, reader, scheduling);
  reader.ExpectKey(kClassQuantumKey);
  reader.ExpectArray(scheduling.class_quantum.size());
  for (std::uint64_t& quantum : scheduling.class_quantum) {
    quantum = reader.Unsigned();
  }
  DecodeFields(kSchedulingAfter, kClassQuantumKey + 1, reader, scheduling);
  return scheduling;
}

void EncodeModules(const std::vector<ModuleRecord>& modules,
                   cbor::Encoder& encoder) {
  encoder.Array(modules.size());
  for (const ModuleRecord& module : modules) {
    encoder.Map(kModuleSize);
    encoder.Unsigned(kModuleNameKey);
    encoder.Text(module.name);
    encoder.Unsigned(kModuleVersionKey);
    encoder.Text(module.version);
    encoder.Unsigned(kModuleDigestKey);
    encoder.ByteString(module.digest.view());
    encoder.Unsigned(kModuleReducersKey);
    EncodeNames(module.reducers, encoder);
  }
}

std::vector<ModuleRecord> DecodeModules(cbor::Reader& reader) {
  std::vector<ModuleRecord> modules;
  const std::uint64_t size = reader.Array();
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    modules.push_back(DecodeModule(reader));
  }
  return modules;
}

void EncodeConfig(const WorldConfig& config, cbor::Encoder& encoder) {
  encoder.Map(kConfigSize);
  encoder.Unsigned(kFormatVersionKey);
  encoder.Unsigned(config.format_version);
  encoder.Unsigned(kWorldIdKey);
  encoder.ByteString(config.world_id);
  encoder.Unsigned(kSeedKey);
  encoder.ByteString(config.seed.view());
  encoder.Unsigned(kClockKey);
  encoder.Unsigned(static_cast<std::uint64_t>(config.clock));
  encoder.Unsigned(kLimitsKey);
  EncodeLimits(config.limits, encoder);
  encoder.Unsigned(kSchedulingKey);
  EncodeScheduling(config.scheduling, encoder);
  encoder.Unsigned(kSnapshotEveryKey);
  encoder.Unsigned(config.snapshot_every);
  encoder.Unsigned(kModulesKey);
  EncodeModules(config.modules, encoder);
  encoder.Unsigned(kReducersKey);
  EncodeNames(config.reducers, encoder);
}

absl::StatusOr<WorldConfig> DecodeConfig(cbor::Reader& reader) {
  WorldConfig config;
  // The version goes first: what follows it is a newer format's own affair.
  const std::uint64_t size = reader.Map();
  reader.ExpectKey(kFormatVersionKey);
  config.format_version = reader.Unsigned();
  if (!reader.ok()) return reader.status();
  REENACT_RETURN_IF_ERROR(CheckVersion(config.format_version));
  if (size != kConfigSize) {
    reader.Fail("a configuration of another number of fields than 9");
  }
  reader.ExpectKey(kWorldIdKey);
  config.world_id = reader.ByteString();
  reader.ExpectKey(kSeedKey);
  config.seed = DecodeDigest(reader);
  reader.ExpectKey(kClockKey);
  config.clock = DecodeClock(reader);
  reader.ExpectKey(kLimitsKey);
  config.limits = DecodeLimits(reader);
  reader.ExpectKey(kSchedulingKey);
  config.scheduling = DecodeScheduling(reader);
  reader.ExpectKey(kSnapshotEveryKey);
  config.snapshot_every = reader.Unsigned();
  reader.ExpectKey(kModulesKey);
  config.modules = DecodeModules(reader);
  reader.ExpectKey(kReducersKey);
  config.reducers = DecodeNames(reader);
  if (!reader.ok()) return reader.status();
  return config;
}

absl::Status CheckConfig(const WorldConfig& config) {
  REENACT_RETURN_IF_ERROR(CheckRange("format_version", config.format_version,
                                     kFormatVersionOldest, kFormatVersion));
  if (config.world_id.size() != kWorldIdSize) {
    return absl::InvalidArgumentError("world_id is of " +
                                      std::to_string(config.world_id.size()) +
                                      " bytes, not of 16");
  }
  REENACT_RETURN_IF_ERROR(
      CheckRange("clock", static_cast<std::uint64_t>(config.clock), 0,
                 static_cast<std::uint64_t>(ClockKind::kWall)));
  REENACT_RETURN_IF_ERROR(CheckFields(config.limits, kLimitsFields));
  REENACT_RETURN_IF_ERROR(CheckScheduling(config.scheduling));
  REENACT_RETURN_IF_ERROR(CheckNames("reducers", config.reducers));
  return CheckModules(config);
}

void SetSeed(std::uint64_t seed, WorldConfig& config) {
  config.seed = Hasher("reenact.world.seed.v1").AddU64(seed).Finish();
}

void SetIdentity(std::uint64_t seed, WorldConfig& config) {
  const Digest id = Hasher("reenact.world.v1").AddU64(seed).Finish();
  config.world_id = id.view().substr(0, kWorldIdSize);
  SetSeed(seed, config);
}

Bytes DrawWorldId() { return RandomBytes(kWorldIdSize); }

}  // namespace reenact
