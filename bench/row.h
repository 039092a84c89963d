// Structs as CBOR arrays: payloads and states of the workloads.
//
//   struct Line {
//     std::int64_t item = 0, quantity = 0;
//     static auto Fields(auto& row) { return std::tie(row.item, row.quantity);
//     }
//   };
//   step.SetState(PackRow(Line{7, 2}));
//
// A field is an std::int64_t, an std::string (a byte string: nobody has to look
// whether it is UTF-8), another such struct, or an std::vector of any of them.

#ifndef REENACT_BENCH_ROW_H_
#define REENACT_BENCH_ROW_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact::bench {
namespace row {

inline void Put(cbor::Encoder& out, std::int64_t value) { out.Integer(value); }
inline void Put(cbor::Encoder& out, const std::string& text) {
  out.ByteString(text);
}
template <typename T>
void Put(cbor::Encoder& out, const std::vector<T>& items);

template <typename Row>
auto Put(cbor::Encoder& out, const Row& row)
    -> std::void_t<decltype(Row::Fields(row))> {
  std::apply(
      [&out](const auto&... field) {
        out.Array(sizeof...(field));
        (Put(out, field), ...);
      },
      Row::Fields(row));
}

template <typename T>
void Put(cbor::Encoder& out, const std::vector<T>& items) {
  out.Array(items.size());
  for (const T& item : items) Put(out, item);
}

inline void Get(cbor::Reader& in, std::int64_t* value) {
  *value = in.Integer();
}
inline void Get(cbor::Reader& in, std::string* text) {
  *text = in.ByteString();
}
template <typename T>
void Get(cbor::Reader& in, std::vector<T>* items);

template <typename Row>
auto Get(cbor::Reader& in, Row* row)
    -> std::void_t<decltype(Row::Fields(*row))> {
  std::apply(
      [&in](auto&... field) {
        in.ExpectArray(sizeof...(field));
        (Get(in, &field), ...);
      },
      Row::Fields(*row));
}

template <typename T>
void Get(cbor::Reader& in, std::vector<T>* items) {
  // An array is as long as its bytes are there for, so this is no more than
  // what was given.
  items->resize(in.Array());
  for (T& item : *items) Get(in, &item);
}

}  // namespace row

template <typename Row>
Bytes PackRow(const Row& row) {
  Bytes bytes;
  cbor::Encoder encoder(&bytes);
  row::Put(encoder, row);
  return bytes;
}

// InvalidArgument: these are not the bytes of such a row.
template <typename Row>
absl::StatusOr<Row> UnpackRow(BytesView bytes) {
  Row row;
  cbor::Reader reader(bytes);
  row::Get(reader, &row);
  reader.ExpectEnd();
  if (!reader.ok()) return reader.status();
  return row;
}

}  // namespace reenact::bench

#endif  // REENACT_BENCH_ROW_H_
