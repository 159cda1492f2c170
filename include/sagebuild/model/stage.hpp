#pragma once
// The kinds of steps that a build is made of, in one table: what each is called, what it reads and
// makes, and what it takes until it was measured on this machine. To add one: docs/architecture.md,
// "Where to add".

#include <cstdint>
#include <string_view>

namespace sagebuild {

enum class Stage {
  // One source, one module, torch's bridge: they expand into the others.
  compile,
  parts,
  module,
  bridge,
  // A .cu source taken apart.
  host_preprocess,
  device_preprocess,
  cut,
  cudafe,
  cicc,
  ptxas,
  ptxas_check,
  stub,
  fatbinary,
  host_compile,
  image,
  join,
  // In one piece, and a .cpp source.
  plain_nvcc,
  preprocess,
  host_compiler,
  // What is looked at before an object is taken.
  source_check,
  header_check,
  host_header_check,
  parts_check,
  header_proof,
  pair_proof,
  host_header_proof,
  // A module out of objects.
  link,
  strip,
};

struct StageCost {
  double seconds = 0;  // wall, alone on one core
  std::uint64_t mebibytes = 300;
};

struct StageFacts {
  Stage stage;
  // In labels, in timelines, and what its costs are remembered by: renaming one forgets them.
  std::string_view name;
  std::string_view reads;
  std::string_view makes;
  // What it takes where headers of ours stand in for torch's, and where torch's own are read.
  // Measured on two cores over SageAttention, torch 2.11.
  StageCost with_stand_ins;
  StageCost with_torchs;
};

const StageFacts& facts_of(Stage stage);
std::string_view name_of(Stage stage);

}  // namespace sagebuild
