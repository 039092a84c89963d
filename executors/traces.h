// Where a value stands in a text, however it was written down.

#ifndef REENACT_EXECUTORS_TRACES_H_
#define REENACT_EXECUTORS_TRACES_H_

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace reenact {

// Finds values as they are, in hexadecimal and base64 with or without line ends
// in them, also inside of longer base64, and as UTF-16 if they are ASCII.
//
// Each of these also after one or two of the following, in whatever spelling a
// writer chose: escaped as in JSON strings and their like ("\u00e4", "\/",
// "\xe4"), percent-encoded, percent-encoded with "+" for blanks, and with
// entities as in HTML ("&amp;", "&#38;"). So {"a": "s3cr\/t"} as a string in
// another JSON document is found, and as the parameter of a URL.
//
// Thread safety: const calls may run together.
class Traces {
 public:
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t value = 0;  // as Add() said

    friend bool operator==(const Range&, const Range&) = default;
  };

  // REQUIRES: `value` has kBytesMin bytes. Shorter ones would be found in what
  // has nothing to do with them.
  static constexpr std::size_t kBytesMin = 8;
  // Looks for `value` from now on, and calls it `name`.
  void Add(std::string_view value, std::size_t name);

  // Every range that holds a value, by its beginning. They may overlap. Time:
  // as long as `text`, a little more for what begins as a value does.
  std::vector<Range> FindAll(std::string_view text) const;

 private:
  struct Form {
    std::string text;
    std::size_t value = 0;
    bool wraps = false;  // there may be line ends in it
  };
  void FindAt(std::string_view text, std::size_t at,
              std::vector<Range>* found) const;

  std::array<std::vector<Form>, 256> by_first_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_TRACES_H_
