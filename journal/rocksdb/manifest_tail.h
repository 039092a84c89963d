// The end of RocksDB's MANIFEST, written a second time, beside it.
//
// A power cut may leave anything where a write was under way: other sectors
// than the first, zeros, garbage. RocksDB takes a MANIFEST that ends so for
// damage, and would not open. So what is added to a MANIFEST is first made
// durable here, and what a crash leaves of it there does not matter: readers
// take it from here. It is the doublewrite buffer of InnoDB (MySQL Reference
// Manual, "Doublewrite Buffer"), for one file.
//
// What is stored is one item of deterministic CBOR, a BLAKE2b-256 over it, and
// what is left of longer ones:
//
//   84                          array of 4
//     73 72 65 65 .. 76 31      "reenact.manifest.v1"
//     6f 4d 41 4e .. 30 35      "MANIFEST-000005": the file that is added to
//     18 a7                     where: at byte 167
//     43 01 02 03               what
//   a2 c1 5b 97 .. 85 e3        the digest, of domain "reenact.manifest.v1"
//
// There is one at a time, the newest; it is written over the one before, which
// is not needed any more once what follows it is to be added.

#ifndef REENACT_JOURNAL_ROCKSDB_MANIFEST_TAIL_H_
#define REENACT_JOURNAL_ROCKSDB_MANIFEST_TAIL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "reenact/base/bytes.h"

namespace reenact {

inline constexpr char kManifestTailName[] = "MANIFEST.tail";

struct ManifestTail {
  std::string manifest;  // its name, without a directory
  std::uint64_t offset = 0;
  Bytes bytes;

  friend bool operator==(const ManifestTail&, const ManifestTail&) = default;
};

Bytes EncodeManifestTail(const ManifestTail& tail);

// None: a write that a crash cut short, or something else. In time and memory
// bounded by the size of `stored`.
std::optional<ManifestTail> DecodeManifestTail(BytesView stored);

// Whether a file of `size` bytes, which has `there` from the tail's offset on,
// is to be read with the tail's bytes there. Not one that goes on behind them:
// then they were durable before; nor one that ends before them, which no crash
// leaves.
bool IsTorn(const ManifestTail& tail, std::uint64_t size, BytesView there);

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_MANIFEST_TAIL_H_
