// Blocks in order, each with its hash and its place in the chain checked, read
// and checked ahead of whoever needs them.

#ifndef REENACT_JOURNAL_BLOCK_STREAM_H_
#define REENACT_JOURNAL_BLOCK_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/journal/block.h"
#include "reenact/journal/plain_entries.h"
#include "reenact/kernel/hash.h"

namespace reenact {

// A block that is kept: the stored bytes, and the view into them.
class KeptBlock {
 public:
  KeptBlock() = default;
  KeptBlock(const KeptBlock&) = delete;
  KeptBlock& operator=(const KeptBlock&) = delete;

  // DataLoss: `bytes` is not a block, or its hash is not the hash of its bytes.
  absl::Status Set(BytesView bytes);
  // Makes inputs() of the entries. REQUIRES: Set() was OK.
  void ReadInputs() { inputs_ = ReadPlainInputs(view_.entries); }

  const Bytes& stored() const { return stored_; }
  const BlockHeader& header() const { return view_.header; }
  BytesView entries() const { return view_.entries; }
  const Digest& hash() const { return view_.hash; }
  // None unless ReadInputs() was called.
  const PlainInputs& inputs() const { return inputs_; }

 private:
  Bytes stored_;
  BlockView view_;
  PlainInputs inputs_;
};

// The end of a chain, for what comes after it.
struct ChainEnd {
  BlockHeader header;
  Digest hash;
  bool nothing = false;  // comes before: the next block is the first

  static ChainEnd Nothing() { return {{}, {}, true}; }
};
// As if the block before `index` were one without tickets: all that matters for
// the next one.
ChainEnd ChainEndBefore(std::uint64_t index, Round round, EventId last,
                        const Digest& hash);

// What comes out does not depend on whether a thread reads ahead.
//
// Thread safety: none; each stream is used by one thread, beside others that
// use the store.
class BlockStream {
 public:
  // Visits blocks from `from` on, as Store::ScanBlocks() does.
  using Scan = std::function<absl::Status(
      std::uint64_t from, const std::function<absl::Status(
                              std::uint64_t index, BytesView stored)>& visit)>;

  // The blocks after `before`, up to the one before `end`. `ahead`: a thread of
  // the stream's own reads and checks what comes next, a bounded number of
  // bytes ahead; `scan` is then called on it. `inputs`: each block's inputs()
  // are read there, too.
  static std::unique_ptr<BlockStream> Start(Scan scan, const ChainEnd& before,
                                            std::uint64_t end, bool ahead,
                                            bool inputs = false);
  // Stops reading ahead.
  virtual ~BlockStream() = default;

  // The next block; null at the end.
  //
  // DataLoss: it is damaged, does not follow the one before it or is not there;
  // the message begins with its place, "block 7". Others: as the scan says.
  // After an error it must not be called again.
  virtual absl::StatusOr<std::unique_ptr<KeptBlock>> Next() = 0;
};

// Whether another thread would run beside this one.
bool HasCoreToSpare();

}  // namespace reenact

#endif  // REENACT_JOURNAL_BLOCK_STREAM_H_
