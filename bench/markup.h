// Text that becomes HTML or SVG.

#ifndef REENACT_BENCH_MARKUP_H_
#define REENACT_BENCH_MARKUP_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reenact::bench {

// Text as it may stand between tags and in attributes: nothing in it is a tag,
// an entity or the end of an attribute, and it is valid UTF-8 that XML allows;
// what is not becomes U+FFFD.
std::string Escape(std::string_view text);

// "12.34" for coordinates, without a zero at the end.
std::string Coordinate(double value);

// Elements within elements; what is open is closed in order, and all text is
// escaped. The result is well-formed XML, which HTML takes as well.
//
// Thread safety: none.
class Markup {
 public:
  using Attributes =
      std::initializer_list<std::pair<std::string_view, std::string>>;

  void Open(std::string_view tag, Attributes attributes = {});
  void Close();  // the innermost one. REQUIRES: there is one
  void Text(std::string_view text);
  // An element with text only.
  void Element(std::string_view tag, std::string_view text,
               Attributes attributes = {});
  // An element without content: "<br/>".
  void Empty(std::string_view tag, Attributes attributes = {});
  // What is markup already.
  void Raw(std::string_view markup) { text_ += markup; }

  std::string Finish() &&;  // REQUIRES: nothing is open

 private:
  void Start(std::string_view tag, Attributes attributes);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace reenact::bench

#endif  // REENACT_BENCH_MARKUP_H_
