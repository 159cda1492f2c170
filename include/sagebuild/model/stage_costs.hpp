#pragma once
// What the stages of a source cost, before any build here has measured it.

namespace sagebuild {

struct StageCosts {
  double cicc_seconds = 12;  // wall, one core, stand-in headers, one architecture
  double ptxas_seconds = 8;

  auto operator<=>(const StageCosts&) const = default;
};

}  // namespace sagebuild
