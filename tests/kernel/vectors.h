// The files of spec/vectors.

#ifndef REENACT_TESTS_KERNEL_VECTORS_H_
#define REENACT_TESTS_KERNEL_VECTORS_H_

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "reenact/kernel/hash.h"

namespace reenact {

// The list called `list` in spec/vectors/`file`; never empty.
inline nlohmann::json Vectors(const std::string& file,
                              const std::string& list) {
  std::ifstream stream(REENACT_SOURCE_DIR "/spec/vectors/" + file);
  REQUIRE(stream);
  nlohmann::json vectors = nlohmann::json::parse(stream).at(list);
  REQUIRE_FALSE(vectors.empty());
  return vectors;
}

inline Bytes Hex(const std::string& hex) {
  auto bytes = FromHex(hex);
  REQUIRE(bytes.ok());
  return *std::move(bytes);
}

}  // namespace reenact

#endif  // REENACT_TESTS_KERNEL_VECTORS_H_
