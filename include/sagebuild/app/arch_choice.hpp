#pragma once
// Which architectures a build is for: what the user wrote, else the local GPU,
// else the recipe's default.

#include <optional>
#include <string>

#include "sagebuild/app/build.hpp"
#include "sagebuild/model/recipe.hpp"

namespace sagebuild {

// The reporter is told which was taken. `all` is what the recipe has code for and this toolkit
// compiles, `all-major` the first of each major of them; like nvcc's, with PTX of the newest. A
// list that the user did not write for this build (inherited, or the local GPUs') loses, with a
// warning, what neither this toolkit nor this recipe serves. Throws Error{usage} for what cannot be
// read, for `native` without a GPU, and if nothing is left. A toolkit without a version is any.
ArchList choose_archs(const ArchChoice& choice, const std::optional<Recipe>& recipe,
                      const Version& cuda, Reporter& report);

// A list for TORCH_CUDA_ARCH_LIST while setup.py is recorded, in spellings that every torch reads:
// torch refuses "12.0f", "compute_120" and 8.8 outright, and what is built for is the plan's to
// say.
std::string archs_for_torch(const ArchList& archs);

// "8.9 12.0": the compute capabilities that nvidia-smi names; empty without a GPU.
std::string local_gpu_archs();

}  // namespace sagebuild
