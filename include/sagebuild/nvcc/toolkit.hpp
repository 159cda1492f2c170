#pragma once
// One CUDA toolkit with one host compiler: its tools by content, and what a self-test found it fit for.

#include <filesystem>
#include <map>
#include <string>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/nvcc/dryrun.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct Toolkit {
  Toolchain toolchain;
  std::map<std::string, std::filesystem::path> programs;  // "nvcc", "cudafe++", "cicc", "ptxas", "fatbinary", "ld"
  std::map<std::string, Digest> tools;                    // the same, and "host" (driver, compiler proper, assembler)
  Digest runtime_headers;                                 // crt/host_runtime.h and all it includes, for host compiles
  // Why a feature is off; empty: it works as facts section 9 step 2 wants it.
  std::string decompose_off;     // the decomposed object differs from nvcc's
  std::string kernel_check_off;  // template kernels have another body than the one that is replaced
  std::string detach_off;        // .fatbin.c has another text

  // One digest of all tools, for keys of whole compiles.
  Digest digest() const;
};

// Finds and hashes the tools, and self-tests them once per digest (some seconds, then remembered by the cache). `nvcc`
// is the program with the options that choose the host compiler. Throws Error{environment} if a tool is missing.
Toolkit inspect_toolkit(const Toolchain& toolchain, const Words& nvcc, ActionCache& cache, Reporter& reporter);

}  // namespace sagebuild
