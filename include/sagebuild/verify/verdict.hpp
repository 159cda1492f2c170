#pragma once
// Whether a wheel runs on a GPU, in a person's words.

#include <string>
#include <vector>

#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

struct GpuVerdict {
  Arch gpu;
  std::string word;    // "yes", "JIT", "traps", "partly", "no"
  std::string reason;  // "the sm_80 code serves it", "_fused has only sm_90a"
};

// For each GPU generation from RTX 20 to GB10. Empty where the file has no GPU code. A module that
// its recipe does not want on a GPU does not count there.
std::vector<GpuVerdict> verdicts(const WheelFacts& wheel, const Promise& promise);

// A module alone, on the same GPUs; the word is "-" where it need not serve them.
struct ModuleVerdicts {
  std::string path;
  std::vector<GpuVerdict> gpus;
};
// Of the modules with GPU code.
std::vector<ModuleVerdicts> module_verdicts(const WheelFacts& wheel, const Promise& promise);

}  // namespace sagebuild
