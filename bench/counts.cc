#include "bench/counts.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace reenact::bench {

absl::StatusOr<std::vector<Figure>> ReadCounts(
    const std::filesystem::path& file) {
  std::ifstream in(file);
  const auto json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object() || !json.contains("instructions_per_ticket") ||
      !json["instructions_per_ticket"].is_object()) {
    return absl::InvalidArgumentError(
        file.string() + ": not what tools/instructions has written");
  }
  std::vector<Figure> figures;
  for (const auto& [path, count] : json["instructions_per_ticket"].items()) {
    if (!count.is_number()) {
      return absl::InvalidArgumentError(file.string() + ": " + path +
                                        ": not a number");
    }
    Figure figure;
    figure.id = "instructions." + path;
    figure.section = "kernel instructions per trivial ticket, counted";
    figure.name = path;
    figure.unit = "instructions";
    figure.better = Better::kLess;
    figure.values = {count.get<double>()};
    figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace reenact::bench
