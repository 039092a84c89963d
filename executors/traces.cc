#include "reenact/executors/traces.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "reenact/base/check.h"
#include "reenact/kernel/hash.h"

namespace reenact {
namespace {

// --- what is looked for ------------------------------------------------------

std::string Base64(std::string_view value, std::string_view alphabet) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : value) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (have += 8; have >= 6; have -= 6) {
      out += alphabet[bits >> (have - 6) & 63];
    }
  }
  if (have > 0) out += alphabet[bits << (6 - have) & 63];
  return out;
}

// In base64 of a longer text the characters at both ends hold bits of what
// stands beside the value; those between are the same whatever that is. There
// are three ways to lie across groups of three bytes.
void AddBase64(std::string_view value, std::set<std::string>* forms) {
  for (const char* last : {"+/", "-_"}) {
    const std::string alphabet =
        std::string(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            "0123456789") +
        last;
    forms->insert(Base64(value, alphabet));
    for (std::size_t before = 0; before < 3; ++before) {
      const std::string shifted = std::string(before, '\0').append(value);
      const std::size_t first = (before * 8 + 5) / 6;
      const std::size_t end = shifted.size() * 8 / 6;
      forms->insert(Base64(shifted, alphabet).substr(first, end - first));
    }
  }
}

// As most writers of JSON do it: for what is inside of base64, where no other
// spelling can be seen.
std::string JsonEscaped(std::string_view value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20) {
      out += {'\\', 'u', '0', '0', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

std::set<std::string> WrappingForms(std::string_view value) {
  const std::string hex = ToHex(value);
  std::string upper = hex;
  for (char& c : upper) {
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  std::set<std::string> forms{hex, upper};
  AddBase64(value, &forms);
  AddBase64(JsonEscaped(value), &forms);
  return forms;
}

std::set<std::string> PlainForms(std::string_view value) {
  std::string little;
  std::string big;
  for (const char c : value) {
    little += {c, '\0'};
    big += {'\0', c};
  }
  return {std::string(value), little, big};
}

// --- how it may be written down ----------------------------------------------

enum class Code { kEscapes, kPercent, kPlus, kEntities };
using Chain = std::vector<Code>;  // the outermost first

std::vector<Chain> AllChains() {
  constexpr Code kCodes[] = {Code::kEscapes, Code::kPercent, Code::kPlus,
                             Code::kEntities};
  std::vector<Chain> chains{{}};
  for (const Code outer : kCodes) chains.push_back({outer});
  for (const Code outer : kCodes) {
    for (const Code inner : kCodes) chains.push_back({outer, inner});
  }
  return chains;
}

bool BeginsCode(char c) {
  return c == '\\' || c == '%' || c == '+' || c == '&';
}

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// 1 to 4 bytes, and where in the text they end.
struct Piece {
  std::array<char, 4> bytes{};
  std::size_t size = 1;
  std::size_t end = 0;

  static Piece Of(char c, std::size_t end) { return {{c}, 1, end}; }
  std::string_view view() const { return {bytes.data(), size}; }
  bool IsOne() const { return size == 1; }
  bool Is(char c) const { return IsOne() && bytes[0] == c; }
};

// A character in UTF-8.
Piece Utf8(std::uint32_t point, std::size_t end) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  const auto tail = [&](int shift) {
    return byte(0x80 | (point >> shift & 63));
  };
  if (point < 0x80) return {{byte(point)}, 1, end};
  if (point < 0x800) return {{byte(0xc0 | point >> 6), tail(0)}, 2, end};
  if (point < 0x10000) {
    return {{byte(0xe0 | point >> 12), tail(6), tail(0)}, 3, end};
  }
  return {{byte(0xf0 | point >> 18), tail(12), tail(6), tail(0)}, 4, end};
}

std::optional<unsigned> DigitOf(const Piece& piece) {
  if (!piece.IsOne()) return std::nullopt;
  const char c = piece.bytes[0];
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// Reads a text piece by piece, with a chain of codes undone. What is no code is
// what it is.
class Unwriter {
 public:
  Unwriter(std::string_view text, const Chain& chain)
      : text_(text), chain_(chain) {}

  // Nullopt: the text is at its end.
  std::optional<Piece> Next(std::size_t at) const {
    return Read(chain_.size(), at);
  }

 private:
  // With the first `depth` codes undone.
  std::optional<Piece> Read(std::size_t depth, std::size_t at) const {
    if (at >= text_.size()) return std::nullopt;
    if (depth == 0) return Piece::Of(text_[at], at + 1);
    std::optional<Piece> first = Read(depth - 1, at);
    if (!first || !first->IsOne()) return first;
    std::optional<Piece> undone = Undo(depth - 1, *first);
    return undone ? undone : first;
  }

  std::optional<Piece> Undo(std::size_t depth, const Piece& first) const {
    switch (chain_[depth]) {
      case Code::kEscapes:
        return first.Is('\\') ? Escape(depth, first.end) : std::nullopt;
      case Code::kPlus:
        if (first.Is('+')) return Piece::Of(' ', first.end);
        [[fallthrough]];
      case Code::kPercent:
        return first.Is('%') ? Byte(depth, first.end) : std::nullopt;
      case Code::kEntities:
        return first.Is('&') ? Entity(depth, first.end) : std::nullopt;
    }
    return std::nullopt;
  }

  struct Number {
    std::uint32_t value = 0;
    std::size_t end = 0;
  };
  // At least `least` digits of base `base`, at most `most`.
  std::optional<Number> Digits(std::size_t depth, std::size_t at, unsigned base,
                               int least, int most) const {
    Number number{0, at};
    int count = 0;
    for (; count < most; ++count) {
      const auto piece = Read(depth, number.end);
      const auto digit = piece ? DigitOf(*piece) : std::nullopt;
      if (!digit || *digit >= base) break;
      number = {number.value * base + *digit, piece->end};
    }
    if (count < least) return std::nullopt;
    return number;
  }

  std::optional<Piece> Byte(std::size_t depth, std::size_t at) const {
    const auto number = Digits(depth, at, 16, 2, 2);
    if (!number) return std::nullopt;
    return Piece::Of(static_cast<char>(number->value), number->end);
  }

  // Behind "\".
  std::optional<Piece> Escape(std::size_t depth, std::size_t at) const {
    constexpr std::string_view kLetters = "bfnrtv0\"\\/'";
    constexpr std::string_view kMeanings("\b\f\n\r\t\v\0\"\\/'", 11);
    const std::optional<Piece> what = Read(depth, at);
    if (!what || !what->IsOne()) return std::nullopt;
    if (what->Is('u')) return Utf16(depth, what->end);
    if (what->Is('x')) return Byte(depth, what->end);
    if (what->Is('U')) return Point(Digits(depth, what->end, 16, 8, 8));
    const std::size_t place = kLetters.find(what->bytes[0]);
    if (place == kLetters.npos) return std::nullopt;
    return Piece::Of(kMeanings[place], what->end);
  }

  // Behind "\u": four digits, twice if need be, or digits in braces.
  std::optional<Piece> Utf16(std::size_t depth, std::size_t at) const {
    const std::optional<Piece> brace = Read(depth, at);
    if (brace && brace->Is('{')) {
      return Ended(depth, Digits(depth, brace->end, 16, 1, 6), '}');
    }
    const auto unit = Digits(depth, at, 16, 4, 4);
    if (!unit || unit->value < 0xd800 || unit->value > 0xdfff) {
      return Point(unit);
    }
    // Python's way to write a byte that is no UTF-8.
    if (unit->value >= 0xdc80 && unit->value <= 0xdcff) {
      return Piece::Of(static_cast<char>(unit->value & 0xff), unit->end);
    }
    const auto backslash = Read(depth, unit->end);
    if (!backslash || !backslash->Is('\\')) return std::nullopt;
    const auto letter = Read(depth, backslash->end);
    if (!letter || !letter->Is('u')) return std::nullopt;
    const auto low = Digits(depth, letter->end, 16, 4, 4);
    if (!low || low->value < 0xdc00 || low->value > 0xdfff) {
      return std::nullopt;
    }
    return Point(
        Number{0x10000 + ((unit->value - 0xd800) << 10) + (low->value - 0xdc00),
               low->end});
  }

  // Behind "&".
  std::optional<Piece> Entity(std::size_t depth, std::size_t at) const {
    const auto sign = Read(depth, at);
    if (sign && sign->Is('#')) {
      const auto x = Read(depth, sign->end);
      const bool hex = x && (x->Is('x') || x->Is('X'));
      return Ended(depth,
                   hex ? Digits(depth, x->end, 16, 1, 6)
                       : Digits(depth, sign->end, 10, 1, 7),
                   ';');
    }
    constexpr std::pair<std::string_view, char> kNames[] = {{"amp;", '&'},
                                                            {"lt;", '<'},
                                                            {"gt;", '>'},
                                                            {"quot;", '"'},
                                                            {"apos;", '\''}};
    for (const auto& [name, meaning] : kNames) {
      if (const auto end = EndOf(depth, at, name)) {
        return Piece::Of(meaning, *end);
      }
    }
    return std::nullopt;
  }

  // Where `word` ends that begins at `at`.
  std::optional<std::size_t> EndOf(std::size_t depth, std::size_t at,
                                   std::string_view word) const {
    for (const char c : word) {
      const auto piece = Read(depth, at);
      if (!piece || !piece->Is(c)) return std::nullopt;
      at = piece->end;
    }
    return at;
  }

  std::optional<Piece> Ended(std::size_t depth, std::optional<Number> number,
                             char end) const {
    if (!number) return std::nullopt;
    const auto last = Read(depth, number->end);
    if (!last || !last->Is(end)) return std::nullopt;
    return Point(Number{number->value, last->end});
  }

  static std::optional<Piece> Point(std::optional<Number> number) {
    if (!number || number->value > 0x10ffff) return std::nullopt;
    return Utf8(number->value, number->end);
  }

  const std::string_view text_;
  const Chain& chain_;
};

// --- looking -----------------------------------------------------------------

// Blanks in a row that a line's end and the next one's indentation may have.
constexpr int kBlanksMax = 16;

// Where what begins at `at` ends, if that is `form`.
std::optional<std::size_t> Match(const Unwriter& text, std::size_t at,
                                 std::string_view form, bool wraps) {
  int blanks = 0;
  for (std::size_t place = 0; place < form.size();) {
    const std::optional<Piece> piece = text.Next(at);
    if (!piece) return std::nullopt;
    at = piece->end;
    const bool skips = wraps && place > 0 && blanks < kBlanksMax &&
                       piece->IsOne() && IsBlank(piece->bytes[0]);
    blanks = skips ? blanks + 1 : 0;
    if (skips) continue;
    if (form.substr(place, piece->size) != piece->view()) return std::nullopt;
    place += piece->size;
  }
  return at;
}

// Whether they differ before anything that might stand for something else: then
// they do however one reads it.
bool DiffersPlainly(std::string_view text, std::string_view form) {
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (i == text.size()) return true;
    if (BeginsCode(text[i]) || IsBlank(text[i])) return false;
    if (text[i] != form[i]) return true;
  }
  return false;
}

}  // namespace

void Traces::Add(std::string_view value, std::size_t name) {
  REENACT_CHECK(value.size() >= kBytesMin);
  const auto add = [&](const std::string& text, bool wraps) {
    by_first_[static_cast<unsigned char>(text[0])].push_back(
        {text, name, wraps});
  };
  for (const std::string& text : PlainForms(value)) add(text, false);
  for (const std::string& text : WrappingForms(value)) add(text, true);
}

// Every way to read it counts: "&amp;" may be the end of a value, and more of
// it may be what "&amp;amp;" stands for.
void Traces::FindAt(std::string_view text, std::size_t at,
                    std::vector<Range>* found) const {
  static const std::vector<Chain> kChains = AllChains();
  const auto forms = [&](char first) -> const std::vector<Form>& {
    return by_first_[static_cast<unsigned char>(first)];
  };
  const bool plain = !BeginsCode(text[at]);
  const auto differs = [rest = text.substr(at)](const Form& form) {
    return DiffersPlainly(rest, form.text);
  };
  if (plain &&
      std::all_of(forms(text[at]).begin(), forms(text[at]).end(), differs)) {
    return;
  }
  for (const Chain& chain : kChains) {
    const Unwriter unwriter(text, chain);
    for (const Form& form :
         forms(plain ? text[at] : unwriter.Next(at)->bytes[0])) {
      if (differs(form)) continue;
      const auto end = Match(unwriter, at, form.text, form.wraps);
      if (!end) continue;
      const Range range{at, *end, form.value};
      if (found->empty() || found->back() != range) found->push_back(range);
    }
  }
}

std::vector<Traces::Range> Traces::FindAll(std::string_view text) const {
  std::vector<Range> found;
  for (std::size_t at = 0; at < text.size(); ++at) FindAt(text, at, &found);
  return found;
}

}  // namespace reenact
