#include "bench/markup.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "reenact/base/check.h"

namespace reenact::bench {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// How many bytes the character at the start of `text` has; 0 if it is none that
// XML 1.0 allows.
std::size_t CharacterSize(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x20) return lead == '\t' || lead == '\n' || lead == '\r';
  if (lead < 0x80) return lead != 0x7f;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  std::uint32_t code = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool bad = code < kLeast[size] || code > 0x10ffff || surrogate ||
                   code == 0xfffe || code == 0xffff;
  return bad ? 0 : size;
}

std::string_view Entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return "";
  }
}

}  // namespace

std::string Escape(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t size = CharacterSize(text);
    const std::string_view entity = Entity(text[0]);
    if (size == 0) {
      escaped += kReplacement;
    } else {
      escaped += entity.empty() ? text.substr(0, size) : entity;
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return escaped;
}

std::string Coordinate(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string trimmed = text;
  while (trimmed.back() == '0') trimmed.pop_back();
  if (trimmed.back() == '.') trimmed.pop_back();
  return trimmed == "-0" ? "0" : trimmed;
}

void Markup::Start(std::string_view tag, Attributes attributes) {
  text_ += "<";
  text_ += tag;
  for (const auto& [name, value] : attributes) {
    text_ += " ";
    text_ += name;
    text_ += "=\"" + Escape(value) + "\"";
  }
}

void Markup::Open(std::string_view tag, Attributes attributes) {
  Start(tag, attributes);
  text_ += ">";
  open_.emplace_back(tag);
}

void Markup::Close() {
  REENACT_CHECK(!open_.empty());
  text_ += "</" + open_.back() + ">\n";
  open_.pop_back();
}

void Markup::Text(std::string_view text) { text_ += Escape(text); }

void Markup::Element(std::string_view tag, std::string_view text,
                     Attributes attributes) {
  Open(tag, attributes);
  Text(text);
  Close();
}

void Markup::Empty(std::string_view tag, Attributes attributes) {
  Start(tag, attributes);
  text_ += "/>\n";
}

std::string Markup::Finish() && {
  REENACT_CHECK(open_.empty());
  return std::move(text_);
}

}  // namespace reenact::bench
