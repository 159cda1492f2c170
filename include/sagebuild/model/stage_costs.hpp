#pragma once
// What the stages of a source cost, before any build here has measured it; and how long stages are
// cut into parts.

namespace sagebuild {

struct StageCosts {
  double cicc_seconds = 12;  // wall, one core, stand-in headers
  double ptxas_seconds = 8;
  // ptxas' -split-compile. It changes a note in the cubin, so it is a property of the source and
  // never of the machine's load (docs/nvcc.md, "Splitting ptxas").
  unsigned ptxas_threads = 1;

  auto operator<=>(const StageCosts&) const = default;
};

}  // namespace sagebuild
