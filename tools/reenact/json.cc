#include "tools/reenact/json.h"

#include <cmath>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "reenact/kernel/cbor/cbor.h"
#include "reenact/kernel/hash.h"

namespace reenact::tools {
namespace {

// Builds a cbor::Value from the events of nlohmann's parser.
class ValueBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  absl::StatusOr<cbor::Value> Take() && {
    if (!error_.empty()) return absl::InvalidArgumentError(error_);
    return std::move(result_);
  }

  bool null() override { return Add({}); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(std::int64_t value) override { return Add(value); }
  bool number_unsigned(std::uint64_t value) override { return Add(value); }
  bool number_float(double value, const std::string& text) override {
    if (text.find_first_of(".eE") == std::string::npos) {
      return Refuse(absl::StrCat("integer ", text.substr(0, 40),
                                 " is out of range (64 bits)"));
    }
    return Add(value);
  }
  bool string(std::string& text) override { return Add(std::move(text)); }
  bool binary(nlohmann::json::binary_t&) override {
    return Refuse("JSON has no binary");
  }

  bool start_object(std::size_t) override { return Open(cbor::Value::Map()); }
  bool start_array(std::size_t) override { return Open(cbor::Value::Array()); }
  bool end_object() override { return CloseInnermost(); }
  bool end_array() override { return CloseInnermost(); }
  bool key(std::string& name) override {
    Level& level = open_.back();
    if (level.value.Find(name) != nullptr) {
      return Refuse(absl::StrCat("key \"", name.substr(0, 100),
                                 "\" stands twice in one object"));
    }
    level.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: ..."
    std::string_view what = error.what();
    if (const auto end = what.find("] "); end != what.npos) {
      what.remove_prefix(end + 2);
    }
    if (const auto colon = what.find(": "); colon != what.npos) {
      what.remove_prefix(colon + 2);
    }
    return Refuse(absl::StrCat("not JSON at byte ", position, ": ",
                               ToAbsl(what.substr(0, 200))));
  }

 private:
  struct Level {
    cbor::Value value;
    std::string key;
  };

  bool Refuse(std::string what) {
    error_ = std::move(what);
    return false;
  }

  bool Open(cbor::Value container) {
    if (open_.size() == cbor::kDepthMax) {
      return Refuse(absl::StrCat("more than ", cbor::kDepthMax, " levels"));
    }
    open_.push_back({std::move(container), {}});
    return true;
  }

  bool CloseInnermost() {
    cbor::Value done = std::move(open_.back().value);
    open_.pop_back();
    return Add(std::move(done));
  }

  bool Add(cbor::Value value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (Level& level = open_.back(); level.value.IsMap()) {
      level.value.Set(level.key, std::move(value));
    } else {
      level.value.Append(std::move(value));
    }
    return true;
  }

  cbor::Value result_;
  std::vector<Level> open_;
  std::string error_;
};

Json DoubleToJson(double value) {
  if (std::isnan(value)) return {{"$double", "NaN"}};
  if (std::isinf(value)) {
    return {{"$double", value > 0 ? "Infinity" : "-Infinity"}};
  }
  return value;
}

Json NegativeToJson(std::uint64_t n) {  // -1 - n
  if (n <=
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return -1 - static_cast<std::int64_t>(n);
  }
  const absl::uint128 magnitude = absl::uint128(n) + 1;
  std::ostringstream text;
  text << '-' << magnitude;
  return {{"$integer", text.str()}};
}

Json ReadJson(cbor::Reader& reader);

// A map as an object; as pairs once a key turns out to be no text.
Json ReadMap(cbor::Reader& reader) {
  const std::uint64_t size = reader.Map();
  Json object = Json::object();
  Json pairs = Json::array();
  bool texts = true;
  for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
    texts = texts && reader.Peek() == cbor::Type::kText;
    Json key = ReadJson(reader);
    Json value = ReadJson(reader);
    if (texts) object[key.get_ref<const std::string&>()] = value;
    pairs.push_back(Json::array({std::move(key), std::move(value)}));
  }
  if (texts) return object;
  return {{"$map", std::move(pairs)}};
}

// REQUIRES: what follows is valid, so its depth is bounded.
Json ReadJson(cbor::Reader& reader) {
  switch (reader.Peek()) {
    case cbor::Type::kUnsigned:
      return reader.Unsigned();
    case cbor::Type::kNegative:
      return NegativeToJson(reader.Negative());
    case cbor::Type::kBytes:
      return {{"$bytes", ToHex(reader.ByteString())}};
    case cbor::Type::kText:
      return std::string(reader.Text());
    case cbor::Type::kArray: {
      Json array = Json::array();
      const std::uint64_t size = reader.Array();
      for (std::uint64_t i = 0; i < size && reader.ok(); ++i) {
        array.push_back(ReadJson(reader));
      }
      return array;
    }
    case cbor::Type::kMap:
      return ReadMap(reader);
    case cbor::Type::kBool:
      return reader.Bool();
    case cbor::Type::kNull:
      reader.Null();
      return nullptr;
    case cbor::Type::kDouble:
      return DoubleToJson(reader.Double());
    case cbor::Type::kEnd:
      break;
  }
  return nullptr;
}

// The one member of an object that stands for what JSON lacks.
const Json* Special(const Json& json, const char* name) {
  if (!json.is_object() || json.size() != 1) return nullptr;
  const auto member = json.find(name);
  return member == json.end() ? nullptr : &*member;
}

void AppendDiagnostic(const Json& json, std::string* out) {
  if (const Json* bytes = Special(json, "$bytes");
      bytes && bytes->is_string()) {
    absl::StrAppend(out, "h'", bytes->get<std::string>(), "'");
  } else if (const Json* other = Special(json, "$integer");
             (other || (other = Special(json, "$double"))) &&
             other->is_string()) {
    absl::StrAppend(out, other->get<std::string>());
  } else if (json.is_object()) {
    const char* separator = "{";
    for (const auto& [key, value] : json.items()) {
      absl::StrAppend(out, separator, Dump(key), ": ");
      AppendDiagnostic(value, out);
      separator = ", ";
    }
    absl::StrAppend(out, json.empty() ? "{}" : "}");
  } else if (json.is_array()) {
    const char* separator = "[";
    for (const Json& item : json) {
      absl::StrAppend(out, separator);
      AppendDiagnostic(item, out);
      separator = ", ";
    }
    absl::StrAppend(out, json.empty() ? "[]" : "]");
  } else {
    absl::StrAppend(out, Dump(json));
  }
}

absl::StatusOr<cbor::Value> Parse(std::string_view text, bool comments) {
  // The parser would pass over a byte order mark in front of every row.
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    return absl::InvalidArgumentError("not JSON: a byte order mark");
  }
  ValueBuilder builder;
  constexpr bool kStrict = true;  // nothing after it
  nlohmann::json::sax_parse(
      text, &builder, nlohmann::json::input_format_t::json, kStrict, comments);
  return std::move(builder).Take();
}

}  // namespace

absl::StatusOr<cbor::Value> ParseJson(std::string_view text) {
  return Parse(text, false);
}

absl::StatusOr<cbor::Value> ParseJsonWithComments(std::string_view text) {
  return Parse(text, true);
}

Json ToJson(BytesView item) {
  if (!cbor::Validate(item).ok()) {
    return {{"$invalid", cbor::Diagnose(item)}};
  }
  cbor::Reader reader(item);
  return ReadJson(reader);
}

std::string ToDiagnostic(const Json& json) {
  std::string out;
  AppendDiagnostic(json, &out);
  return out;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace reenact::tools
