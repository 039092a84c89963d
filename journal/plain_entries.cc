#include "reenact/journal/plain_entries.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "reenact/kernel/config.h"
#include "reenact/kernel/event.h"
#include "reenact/kernel/outcome.h"

namespace reenact {
namespace {

constexpr char kNull = '\xf6';
constexpr std::uint64_t kLaneMax = std::numeric_limits<std::uint32_t>::max();

// Where a number of 1, 2, 4 or 8 bytes has to begin: a smaller one is shorter.
constexpr std::uint64_t kLeast[4] = {24, 0x100, 0x10000, 0x100000000};

// Reads from one place to the next without saying why if it cannot. After a
// false nothing that it gave means anything.
class Cursor {
 public:
  explicit Cursor(BytesView bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  BytesView Rest() const { return BytesView(at_, left()); }

  bool AreSame(BytesView bytes) {
    if (left() < bytes.size() || !SameBytes(bytes, {at_, bytes.size()})) {
      return false;
    }
    at_ += bytes.size();
    return true;
  }
  bool Is(char byte) {
    if (at_ == end_ || *at_ != byte) return false;
    ++at_;
    return true;
  }
  template <std::size_t kSize>
  bool Are(const char (&bytes)[kSize]) {
    if (left() < kSize || std::memcmp(at_, bytes, kSize) != 0) return false;
    at_ += kSize;
    return true;
  }
  // The head of a map with keys 0, the kind, and 1, whose value comes next.
  bool Entry(EntryKind kind, std::uint64_t* size) {
    if (left() < 4) return false;
    const unsigned head = Byte(0) ^ 0xa0U;
    if (head >= 24 || at_[1] != 0 || at_[2] != static_cast<char>(kind) ||
        at_[3] != 1) {
      return false;
    }
    *size = head;
    at_ += 4;
    return true;
  }

  bool Unsigned(std::uint64_t* value) { return Head(0, value); }
  bool UnsignedUpTo(std::uint64_t max, std::uint64_t* value) {
    return Head(0, value) && *value <= max;
  }
  bool Ordinal(std::uint64_t* value) { return Head(0, value) && *value != 0; }
  bool Cell(entry::CellRefView* cell) {
    std::uint64_t reducer = 0;
    if (!Is('\x82') || !UnsignedUpTo(kNoReducer - 1, &reducer)) return false;
    cell->reducer = static_cast<ReducerId>(reducer);
    return Text(&cell->key);
  }
  bool Text(std::string_view* text) {
    return String(cbor::kMajorText, text) && cbor::internal::IsAscii(*text);
  }
  bool String(unsigned major, BytesView* bytes) {
    std::uint64_t size = 0;
    if (!Head(major, &size) || size > left()) return false;
    *bytes = BytesView(at_, static_cast<std::size_t>(size));
    at_ += size;
    return true;
  }
  bool Item(BytesView* item) {
    if (at_ == end_) return false;
    if (cbor::internal::IsOneByteItem(static_cast<unsigned char>(*at_))) {
      *item = BytesView(at_++, 1);
      return true;
    }
    const char* const begin = at_;
    std::uint64_t number = 0;
    const unsigned major = Byte(0) >> 5;
    if (major > cbor::kMajorNegative || !Head(major, &number)) {
      return ItemInFull(begin, item);
    }
    *item = BytesView(begin, static_cast<std::size_t>(at_ - begin));
    return true;
  }

 private:
  unsigned Byte(std::size_t i) const {
    return static_cast<unsigned char>(at_[i]);
  }

  bool Head(unsigned major, std::uint64_t* argument) {
    if (at_ == end_) return false;
    const unsigned first = Byte(0) ^ major << 5;
    if (first < 24) {
      *argument = first;
      ++at_;
      return true;
    }
    // Eight bytes are read and as many used as belong to it.
    if (first > 27 || left() < 9) return false;
    const unsigned size = 1U << (first - 24);
    *argument = cbor::internal::BigEndian(cbor::internal::Load64(at_ + 1)) >>
                (64 - 8 * size);
    at_ += 1 + size;
    return *argument >= kLeast[first - 24];
  }

  bool ItemInFull(const char* begin, BytesView* item) {
    cbor::Reader reader(
        BytesView(begin, static_cast<std::size_t>(end_ - begin)));
    *item = reader.Item();
    at_ = begin + item->size();
    return reader.ok();
  }

  const char* at_;
  const char* const end_;
};

// What of an input can be left out, and `left` says how much of it is there.
bool TakeTail(std::uint64_t left, Cursor* in, entry::InputAdmittedView* input) {
  input->submission_id = BytesView();
  input->priority = kPriorityDefault;
  input->time = LogicalTime();
  input->position = 0;
  if (left > 0 && in->Is(6)) {
    if (!in->String(cbor::kMajorBytes, &input->submission_id)) return false;
    if (input->submission_id.empty()) return false;
    --left;
  }
  if (left > 0 && in->Is(9)) {
    if (!in->Ordinal(&input->position)) return false;
    --left;
  }
  return left == 0;
}

}  // namespace

bool TakePlainInput(cbor::Reader* reader, entry::InputAdmittedView* input) {
  Cursor in(reader->Rest());
  std::uint64_t size = 0;
  std::uint64_t reducer = 0;
  if (!in.Entry(EntryKind::kInputAdmitted, &size) || size < 5) return false;
  if (!in.Ordinal(&input->input.value) || !in.Is(2) ||
      !in.UnsignedUpTo(kNoReducer - 1, &reducer) || !in.Is(3) ||
      !in.Text(&input->key)) {
    return false;
  }
  input->reducer = static_cast<ReducerId>(reducer);
  input->schema = std::string_view();
  std::uint64_t left = size - 5;
  if (left > 0 && in.Is(4)) {
    if (!in.Text(&input->schema) || input->schema.empty()) return false;
    --left;
  }
  if (!in.Is(5) || !in.Item(&input->payload)) return false;
  if (!TakeTail(left, &in, input)) return false;
  reader->Pass(reader->Rest().size() - in.left());
  return true;
}

bool TakePlainStep(cbor::Reader* reader, PlainStep* step) {
  static constexpr char kOnePut[] = {static_cast<char>(StepGroup::kDiffs),
                                     '\x81', '\x83',
                                     static_cast<char>(Diff::Op::kPut), kNull};
  Cursor in(reader->Rest());
  std::uint64_t size = 0;
  std::uint64_t lane = 0;
  std::uint64_t kind = 0;
  if (!in.Entry(EntryKind::kStepScheduled, &size) || size != 6) return false;
  const BytesView from = in.Rest();
  if (!in.Ordinal(&step->event_id.value)) return false;
  const BytesView id = from.substr(0, from.size() - in.left());
  if (!in.Is(2) || !in.UnsignedUpTo(kLaneMax, &lane) || !in.Is(3) ||
      !in.UnsignedUpTo(static_cast<std::uint64_t>(UnitKind::kControl) - 1,
                       &kind) ||
      !in.Is(4) || !in.Cell(&step->cell) || !in.Is(5) ||
      !in.Ordinal(&step->cause.value)) {
    return false;
  }
  if (!in.Entry(EntryKind::kStepCommitted, &size) || size != 4) return false;
  if (!in.AreSame(id) || !in.Is(2) || !in.UnsignedUpTo(kLaneMax, &lane) ||
      !in.Are(kOnePut) || !in.Item(&step->state)) {
    return false;
  }
  reader->Pass(reader->Rest().size() - in.left());
  return true;
}

PlainInputs ReadPlainInputs(BytesView entries) {
  PlainInputs inputs;
  cbor::Reader reader(entries);
  EntryReader in(&reader);
  if (in.Next() != EntryKind::kRoundOpened) return inputs;
  in.RoundOpened();
  in.Finish();
  if (!in.status().ok()) return inputs;
  inputs.begin = reader.offset();
  entry::InputAdmittedView input;
  for (;;) {
    const std::size_t end = reader.offset();
    inputs.size = end - inputs.begin;
    if (!TakePlainInput(&reader, &input)) return inputs;
    if (inputs.count == 0) inputs.first = input.input;
    if (input.input.value != inputs.first.value + inputs.count ||
        input.submission_id.size() > kSubmissionIdBytesMax) {
      return inputs;
    }
    ++inputs.count;
    if (input.position != 0) inputs.position = input.position;
    inputs.reducer_max = std::max(inputs.reducer_max, input.reducer);
    if (!input.submission_id.empty()) {
      inputs.submissions.emplace_back(input.submission_id, input.input);
    }
  }
}

}  // namespace reenact
