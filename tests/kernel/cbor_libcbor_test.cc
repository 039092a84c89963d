// Our codec against libcbor, which shares no line with it.

#include "reenact/kernel/cbor/cbor.h"

#include <cbor.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/hash.h"
#include "tests/kernel/random_value.h"
#include "tests/kernel/vectors.h"

namespace reenact::cbor {
namespace {

struct Release {
  void operator()(cbor_item_t* item) const { cbor_decref(&item); }
};
using Item = std::unique_ptr<cbor_item_t, Release>;

// The item that libcbor reads, or null: all of `bytes` must be one.
Item Load(BytesView bytes) {
  cbor_load_result result;
  Item item(cbor_load(reinterpret_cast<const unsigned char*>(bytes.data()),
                      bytes.size(), &result));
  return result.error.code == CBOR_ERR_NONE && result.read == bytes.size()
             ? std::move(item)
             : nullptr;
}

Bytes Serialize(const cbor_item_t* item) {
  unsigned char* buffer = nullptr;
  std::size_t capacity = 0;
  const std::size_t size = cbor_serialize_alloc(item, &buffer, &capacity);
  Bytes bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

Bytes Text(const unsigned char* data, std::size_t size) {
  return Bytes(reinterpret_cast<const char*>(data), size);
}

Value FloatOrControl(const cbor_item_t* item) {
  if (!cbor_float_ctrl_is_ctrl(item)) return cbor_float_get_float(item);
  if (cbor_is_bool(item)) return cbor_get_bool(item);
  REQUIRE(cbor_is_null(item));
  return Value();
}

// What libcbor read, as a value of ours. The tests' items are shallow.
Value Convert(const cbor_item_t* item) {
  switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
      return std::uint64_t{cbor_get_int(item)};
    case CBOR_TYPE_NEGINT: {
      Bytes bytes;
      Encoder(&bytes).Negative(cbor_get_int(item));
      return Value::Parse(bytes).value();
    }
    case CBOR_TYPE_BYTESTRING:
      return Value::ByteString(
          Text(cbor_bytestring_handle(item), cbor_bytestring_length(item)));
    case CBOR_TYPE_STRING:
      return Text(cbor_string_handle(item), cbor_string_length(item));
    case CBOR_TYPE_ARRAY: {
      Value array = Value::Array();
      for (std::size_t i = 0; i < cbor_array_size(item); ++i) {
        array.Append(Convert(cbor_array_handle(item)[i]));
      }
      return array;
    }
    case CBOR_TYPE_MAP: {
      Value map = Value::Map();
      for (std::size_t i = 0; i < cbor_map_size(item); ++i) {
        const cbor_pair& pair = cbor_map_handle(item)[i];
        map.Set(Convert(pair.key), Convert(pair.value));
      }
      return map;
    }
    case CBOR_TYPE_FLOAT_CTRL:
      return FloatOrControl(item);
    case CBOR_TYPE_TAG:
      break;
  }
  FAIL("a tag");
  return Value();
}

// Whether `value` holds a double that is subnormal as a half: libcbor 0.8 reads
// those and writes others. Conservative: smaller doubles count too.
bool HoldsSubnormalHalf(const Value& value) {
  if (value.IsDouble()) {
    const double magnitude = std::fabs(value.AsDouble().value());
    return magnitude > 0 && magnitude < std::ldexp(1.0, -14);
  }
  if (value.IsArray()) {
    return std::any_of(value.items().begin(), value.items().end(),
                       HoldsSubnormalHalf);
  }
  return value.IsMap() && std::any_of(value.pairs().begin(),
                                      value.pairs().end(), [](const auto& p) {
                                        return HoldsSubnormalHalf(p.first) ||
                                               HoldsSubnormalHalf(p.second);
                                      });
}

// What we accept, libcbor reads as the same value and writes to one of the
// same meaning.
void RequireAgreement(BytesView bytes) {
  CAPTURE(ToHex(bytes));
  const Value ours = Value::Parse(bytes).value();
  const Item theirs = Load(bytes);
  REQUIRE(theirs != nullptr);
  REQUIRE(Convert(theirs.get()) == ours);
  if (HoldsSubnormalHalf(ours)) return;
  const Bytes again = Serialize(theirs.get());
  const Item reread = Load(again);
  REQUIRE(reread != nullptr);
  REQUIRE(Convert(reread.get()) == ours);
}

TEST_CASE("libcbor reads every accepted vector as we do", "[kernel]") {
  const auto* const list = GENERATE("rfc8949_appendix_a", "accepted");
  for (const auto& vector : Vectors("cbor.json", list)) {
    RequireAgreement(Hex(vector.at("hex")));
  }
}

TEST_CASE("libcbor reads what we write as we do", "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 501));
  CAPTURE(seed);
  Choices choices = Choices::Random(seed, 400);
  RequireAgreement(RandomValue(choices).Encode());
}

TEST_CASE("we accept nothing that libcbor refuses", "[kernel]") {
  const auto seed = GENERATE(range<std::uint64_t>(1, 201));
  CAPTURE(seed);
  Choices choices = Choices::Random(seed, 100);
  Bytes bytes = RandomValue(choices).Encode();
  Rng rng(Seed{seed});
  for (int i = 0; i < 50; ++i) {
    bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Below(256));
    if (Validate(bytes).ok()) RequireAgreement(bytes);
  }
}

}  // namespace
}  // namespace reenact::cbor
