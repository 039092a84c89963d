#include "tests/bench/well_formed.h"

#include <cctype>
#include <cstddef>
#include <set>
#include <stdexcept>
#include <vector>

namespace reenact::tests {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  void Parse() {
    if (Skip("<!DOCTYPE html>")) SkipSpace();
    do {
      Next();
    } while (!open_.empty());
    SkipSpace();
    if (at_ != text_.size()) Fail("something behind the root");
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(what + " at byte " + std::to_string(at_) + ": " +
                             std::string(text_.substr(at_, 40)));
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Skip(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }
  void SkipSpace() {
    while (std::isspace(static_cast<unsigned char>(Peek()))) ++at_;
  }
  std::string Name() {
    const std::size_t start = at_;
    while (std::isalnum(static_cast<unsigned char>(Peek())) || Peek() == '-' ||
           Peek() == ':') {
      ++at_;
    }
    if (at_ == start) Fail("a name is missing");
    return std::string(text_.substr(start, at_ - start));
  }

  void Next() {
    if (Skip("</")) return EndTag();
    if (Skip("<")) return StartTag();
    if (open_.empty()) Fail("text outside of the root");
    if (at_ == text_.size()) Fail("<" + open_.back() + "> is not closed");
    Character();
  }
  void EndTag() {
    const std::string name = Name();
    if (open_.empty() || open_.back() != name) Fail("</" + name + "> too many");
    open_.pop_back();
    if (!Skip(">")) Fail("'>' is missing");
  }
  void StartTag() {
    const std::string name = Name();
    std::set<std::string> attributes;
    for (SkipSpace(); Peek() != '>' && Peek() != '/'; SkipSpace()) {
      if (!attributes.insert(Name()).second) Fail("an attribute twice");
      if (!Skip("=\"")) Fail("a value is missing");
      while (!Skip("\"")) Character();
    }
    if (Skip("/>")) {
      if (open_.empty()) Fail("an empty root");
      return;
    }
    if (!Skip(">")) Fail("'>' is missing");
    open_.push_back(name);
  }
  void Character() {
    if (at_ == text_.size()) Fail("the end is missing");
    if (Peek() == '<') Fail("'<' in text");
    if (Peek() == '&') return Entity();
    const auto byte = static_cast<unsigned char>(Peek());
    if (byte < 0x20 && byte != '\n' && byte != '\t')
      Fail("a control character");
    ++at_;
  }
  void Entity() {
    for (const char* entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) {
      if (Skip(entity)) return;
    }
    if (!Skip("&#")) Fail("'&' in text");
    while (std::isdigit(static_cast<unsigned char>(Peek()))) ++at_;
    if (!Skip(";")) Fail("an entity without end");
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
};

}  // namespace

std::string NotWellFormed(std::string_view text) {
  try {
    Parser(text).Parse();
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

}  // namespace reenact::tests
