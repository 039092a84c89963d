#include "reenact/kernel/hash.h"

#include "tests/kernel/vectors.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

TEST_CASE("BLAKE2b-256 gives the published digests", "[kernel]") {
  for (const auto& vector : Vectors("hash.json", "blake2b_256")) {
    const Bytes message = Hex(vector.at("message"));
    CAPTURE(ToHex(message));
    REQUIRE(Hash(message).ToHex() == vector.at("digest").get<std::string>());
  }
}

TEST_CASE("parts hash as the whole does, wherever it is cut", "[kernel]") {
  Bytes message;
  for (int i = 0; i < 300; ++i) message.push_back(static_cast<char>(i));
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    const BytesView view = message;
    CAPTURE(cut);
    REQUIRE(Hasher().Add(view.substr(0, cut)).Add(view.substr(cut)).Finish() ==
            Hash(message));
  }
}

TEST_CASE("a domain, sizes and numbers are bytes before what they describe",
          "[kernel]") {
  const Digest digest =
      Hasher("ab").AddSized("cde").AddU64(0x0102030405060708).Finish();
  REQUIRE(digest == Hash(Hex("026162"
                             "0000000000000003636465"
                             "0102030405060708")));
  REQUIRE_FALSE(Hasher().AddSized("ab").AddSized("c").Finish() ==
                Hasher().AddSized("a").AddSized("bc").Finish());
}

TEST_CASE("a copied hasher goes on from what it was given", "[kernel]") {
  Hasher one;
  one.Add("a");
  Hasher two = one;
  REQUIRE(one.Add("b").Finish() == Hash("ab"));
  REQUIRE(two.Add("c").Finish() == Hash("ac"));
}

TEST_CASE("hexadecimal digits go both ways, and others are refused",
          "[kernel]") {
  REQUIRE(ToHex(Hex("00ff10Ab")) == "00ff10ab");
  REQUIRE(FromHex("abc").status().message() ==
          "an odd number of hexadecimal digits");
  REQUIRE_FALSE(FromHex("0g").ok());
  REQUIRE_FALSE(FromHex("0x").ok());
  REQUIRE(Digest::FromBytes(Hash("a").view()).value() == Hash("a"));
  REQUIRE_FALSE(Digest::FromBytes("short").ok());
}

}  // namespace
}  // namespace reenact
