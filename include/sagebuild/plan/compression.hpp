#pragma once
// How the GPU code in objects is compressed, which drivers undo when they load it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/version.hpp"

namespace sagebuild {

// automatic: what can be had for nothing (docs/wheel.md has the measurements): from CUDA 13 on,
// whose drivers all read ZSTD, every image by ZSTD at its usual level.
// project: as setup.py has it; nvcc by itself leaves most images as they are.
// size: ZSTD at its highest level, from CUDA 12.8 on.
enum class Compression { automatic, project, size };

std::string_view name_of(Compression compression);  // "auto", "project", "size"
std::optional<Compression> compression_named(std::string_view name);

// What nvcc is told for every source of the plan that has GPU code. Where setup.py or `flags`
// (words of NVCC_PREPEND_FLAGS and NVCC_APPEND_FLAGS) say it, that counts, with a warning beside
// `size`. `cuda`: the toolkit's version. Throws Error{usage} for `size` where the toolkit cannot.
void set_compression(BuildPlan& plan, Compression compression, const Version& cuda,
                     const std::vector<std::string>& flags);

}  // namespace sagebuild
