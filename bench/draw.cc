#include "draw.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace reenact::bench {
namespace {

class Generated final : public InputSource {
 public:
  Generated(std::size_t count, std::uint64_t position,
            std::function<Input()> next)
      : left_(count), position_(position), next_(std::move(next)) {}

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (left_ == 0) return false;
    --left_;
    row->push_back(next_());
    row->back().position = ++position_;
    return true;
  }

 private:
  std::size_t left_;
  std::uint64_t position_;
  const std::function<Input()> next_;
};

class Ready final : public InputSource {
 public:
  Ready(std::vector<Input> inputs, std::uint64_t position)
      : inputs_(std::move(inputs)), position_(position) {}

  absl::StatusOr<bool> Next(std::vector<Input>* row) override {
    if (next_ == inputs_.size()) return false;
    row->push_back(std::move(inputs_[next_++]));
    row->back().position = position_ + next_;
    return true;
  }

 private:
  std::vector<Input> inputs_;
  const std::uint64_t position_;
  std::size_t next_ = 0;
};

}  // namespace

Zipf::Zipf(std::uint32_t size, double exponent) : sums_(size) {
  double sum = 0;
  for (std::uint32_t k = 0; k < size; ++k) {
    sums_[k] = sum += std::pow(k + 1, -exponent);
  }
}

std::uint32_t Zipf::Draw(Rng& rng) const {
  const double at =
      static_cast<double>(rng.Below(1ULL << 53)) * 0x1p-53 * sums_.back();
  const auto found = std::upper_bound(sums_.begin(), sums_.end() - 1, at);
  return static_cast<std::uint32_t>(found - sums_.begin());
}

std::string DrawText(Rng& rng, std::size_t low, std::size_t high) {
  const std::size_t size = low + rng.Below(high - low + 1);
  std::string text(size, '?');
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) bits = rng.Next();
    text[i] = static_cast<char>('a' + ((bits & 0xff) * 26 >> 8));
    bits >>= 8;
  }
  return text;
}

std::string Digits(std::uint64_t number, std::size_t digits) {
  std::string text = std::to_string(number);
  if (text.size() >= digits) return text;
  return std::string(digits - text.size(), '0') + text;
}

std::unique_ptr<InputSource> GeneratedSource(std::size_t count,
                                             std::uint64_t position,
                                             std::function<Input()> next) {
  return std::make_unique<Generated>(count, position, std::move(next));
}

std::unique_ptr<InputSource> ReadySource(std::vector<Input> inputs,
                                         std::uint64_t position) {
  return std::make_unique<Ready>(std::move(inputs), position);
}

}  // namespace reenact::bench
