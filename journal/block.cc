#include "reenact/journal/block.h"

#include <limits>
#include <string>

#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

constexpr std::string_view kDomain = "reenact.block.v1";

Digest HashOf(BytesView map) { return Hasher(kDomain).Add(map).Finish(); }

absl::Status Damaged(const std::string& what) {
  return absl::DataLossError(ToAbsl("block: " + what));
}

Digest ReadDigest(cbor::Reader& reader) {
  absl::StatusOr<Digest> digest = Digest::FromBytes(reader.ByteString());
  if (digest.ok()) return *digest;
  if (reader.ok()) reader.Fail("a hash is not 32 bytes long");
  return Digest();
}

char* Key(char* at, std::uint64_t key) {
  return cbor::StoreHead(at, cbor::kMajorUnsigned, key);
}

char* Member(char* at, std::uint64_t key, std::uint64_t value) {
  return cbor::StoreHead(Key(at, key), cbor::kMajorUnsigned, value);
}

// What stands before the entries has at most 15 heads, and behind them 2.
constexpr std::size_t kHeadMax = 15 * cbor::kHeadBytesMax + kDigestSize;

BlockView ReadMap(cbor::Reader& reader) {
  BlockView block;
  const std::uint64_t size = reader.Map();
  if (size != 7 && size != 8) reader.Fail("not a block");
  reader.ExpectKey(0);
  block.header.index = reader.Unsigned();
  reader.ExpectKey(1);
  block.header.prev = ReadDigest(reader);
  reader.ExpectKey(2);
  block.header.round = Round{reader.Unsigned()};
  reader.ExpectKey(3);
  block.header.first = EventId{reader.Unsigned()};
  reader.ExpectKey(4);
  block.header.ticket_count = reader.Unsigned();
  reader.ExpectKey(5);
  block.header.entry_count = reader.Unsigned();
  reader.ExpectKey(6);
  block.entries = reader.ByteString();
  if (size == 8) {
    reader.ExpectKey(7);
    block.header.open_work = ReadDigest(reader);
  }
  reader.ExpectEnd();
  return block;
}

bool TicketsMakeSense(const BlockHeader& header) {
  return header.first.value != 0 &&
         header.ticket_count <=
             std::numeric_limits<std::uint64_t>::max() - header.first.value;
}

absl::Status DoesNotFollow(const BlockHeader& prev, const BlockHeader& next,
                           const std::string& why) {
  return absl::DataLossError(ToAbsl("block " + std::to_string(next.index) +
                                    " does not follow block " +
                                    std::to_string(prev.index) + ": " + why));
}

}  // namespace

Bytes EncodeBlock(const BlockHeader& header, BytesView entries, Digest* hash) {
  REENACT_CHECK(TicketsMakeSense(header));
  char head[kHeadMax];
  char* at = cbor::StoreHead(head, cbor::kMajorMap, header.open_work ? 8 : 7);
  at = Member(at, 0, header.index);
  at = Key(at, 1);
  at = cbor::StoreHead(at, cbor::kMajorBytes, kDigestSize);
  at += header.prev.view().copy(at, kDigestSize);
  at = Member(at, 2, header.round.value);
  at = Member(at, 3, header.first.value);
  at = Member(at, 4, header.ticket_count);
  at = Member(at, 5, header.entry_count);
  at = Key(at, 6);
  at = cbor::StoreHead(at, cbor::kMajorBytes, entries.size());

  Bytes out;
  out.reserve(static_cast<std::size_t>(at - head) + entries.size() +
              3 * kDigestSize);
  out.append(head, at);
  out.append(entries);
  if (header.open_work) {
    at = cbor::StoreHead(Key(head, 7), cbor::kMajorBytes, kDigestSize);
    out.append(head, at);
    out.append(header.open_work->view());
  }
  *hash = HashOf(out);
  out.append(hash->view());
  return out;
}

absl::StatusOr<BlockView> DecodeBlock(BytesView stored) {
  if (stored.size() <= kDigestSize) {
    return Damaged(std::to_string(stored.size()) + " bytes are none");
  }
  const BytesView map = stored.substr(0, stored.size() - kDigestSize);
  const Digest hash = HashOf(map);
  if (hash.view() != stored.substr(map.size())) {
    return Damaged("its hash is not the hash of its bytes");
  }

  cbor::Reader reader(map);
  BlockView block = ReadMap(reader);
  if (!reader.ok()) return Damaged(std::string(reader.status().message()));
  if (!TicketsMakeSense(block.header)) return Damaged("no such tickets");
  block.hash = hash;
  return block;
}

absl::Status CheckFollows(const BlockHeader& prev, const Digest& prev_hash,
                          const BlockHeader& next) {
  if (next.index != prev.index + 1) {
    return DoesNotFollow(prev, next, "its index is not the next one");
  }
  if (next.prev != prev_hash) {
    return DoesNotFollow(prev, next,
                         "it names the hash " + next.prev.ToHex() + ", not " +
                             prev_hash.ToHex());
  }
  if (next.round <= prev.round) {
    return DoesNotFollow(prev, next,
                         "round " + std::to_string(next.round.value) +
                             " comes after round " +
                             std::to_string(prev.round.value));
  }
  if (next.first != prev.last().Next()) {
    return DoesNotFollow(prev, next,
                         "ticket " + std::to_string(next.first.value) +
                             " comes after ticket " +
                             std::to_string(prev.last().value));
  }
  return absl::OkStatus();
}

}  // namespace reenact
