// The parameters of an effect, read field by field.

#ifndef REENACT_EXECUTORS_PARAMS_H_
#define REENACT_EXECUTORS_PARAMS_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/cbor/cbor_value.h"

namespace reenact {

// A map whose fields are asked for one by one. Errors stick, as with
// cbor::Reader: after the first one every field has its default, and Finish()
// says what was wrong. A field that nobody asked for is an error, too: it would
// be a wish that is not heard.
//
//   Params params(task.effect().params);
//   const std::string url = params.Text("url");
//   const std::int64_t wait = params.Integer("timeout_ms", 30000, 1, 600000);
//   REENACT_RETURN_IF_ERROR(params.Finish());
//
// Thread safety: none.
class Params {
 public:
  explicit Params(BytesView item);
  // A map inside of another.
  Params(const cbor::Value& value, std::string place);

  bool Has(std::string_view field) const;

  // The field is there, or it is an error.
  std::string Text(std::string_view field);
  std::string Text(std::string_view field, std::string_view otherwise);
  std::int64_t Integer(std::string_view field, std::int64_t otherwise,
                       std::int64_t min, std::int64_t max);
  bool Bool(std::string_view field, bool otherwise);
  std::vector<std::string> Texts(std::string_view field);
  std::vector<std::int64_t> Integers(std::string_view field);
  // A map from text to text, in canonical order of keys.
  std::vector<std::pair<std::string, std::string>> TextMap(
      std::string_view field);
  // Whatever it is; null: it is not there. Lives as long as this.
  const cbor::Value* Any(std::string_view field);

  // For conditions that only the caller can judge.
  void Fail(std::string_view field, std::string_view what);

  bool ok() const { return status_.ok(); }
  // InvalidArgument names the field.
  absl::Status Finish();

 private:
  const cbor::Value* Find(std::string_view field);

  cbor::Value map_;
  std::string place_;  // "limits."; empty at the root
  std::set<std::string, std::less<>> asked_;
  absl::Status status_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_PARAMS_H_
