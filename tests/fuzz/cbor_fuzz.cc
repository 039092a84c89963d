// Any bytes: what the codec accepts is what its encoder writes, and the
// different ways to read agree on what is acceptable.

#include <string>

#include "reenact/base/check.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "tests/fuzz/targets.h"

extern "C" int CborFuzzOneInput(const std::uint8_t* data, std::size_t size) {
  namespace cbor = reenact::cbor;
  const reenact::BytesView input(reinterpret_cast<const char*>(data), size);
  const bool valid = cbor::Validate(input).ok();

  const auto value = cbor::Value::Parse(input);
  REENACT_CHECK(value.ok() == valid);
  if (valid) REENACT_CHECK(value->Encode() == input);

  cbor::Reader reader(input);
  const reenact::BytesView item = reader.Item();
  REENACT_CHECK(reader.offset() <= size);
  REENACT_CHECK(valid == (reader.ok() && reader.AtEnd()));
  if (reader.ok()) REENACT_CHECK(cbor::Validate(item).ok());

  const std::string shown = cbor::Diagnose(input);
  REENACT_CHECK(shown.find('\n') == shown.npos);
  // What wrappers have made deeper is shown, too.
  cbor::Reader wrapped(input);
  wrapped.WrappedItem();
  const bool readable = wrapped.ok() && wrapped.AtEnd();
  REENACT_CHECK(readable || !valid);
  if (!readable) REENACT_CHECK(shown.back() == '>');
  return 0;
}
