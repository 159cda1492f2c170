#pragma once
// One CUDA toolkit with one host compiler: its tools by content, and what a self-test found it fit
// for.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/nvcc/dryrun.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct Toolkit {
  Toolchain toolchain;
  // "nvcc", "cudafe++", "cicc", "ptxas", "fatbinary", "ld"
  std::map<std::string, std::filesystem::path> programs;
  // The same, and: "host" (the driver and all that it runs or reads itself: compilers proper,
  // assembler, linker, LTO's parts, its specs file), "strip", and of the toolkit "nvcc.profile" and
  // "libdevice". What is not there has no entry.
  std::map<std::string, Digest> tools;
  // crt/host_runtime.h and all it includes: nvcc's own dependency file does not name them, so that
  // a compile in one piece is known by them through digest().
  Digest runtime_headers;
  // Built into the host compiler for C++, then what it has for C alone. Folders that do not exist
  // (yet) stand in front: which place they would have is not told, and a file in one of them counts
  // as one that is found earlier.
  std::vector<std::filesystem::path> system_includes;
  // Where libraries are looked for behind every -L: the driver's own folders, then the linker's.
  std::vector<std::filesystem::path> library_folders;
  bool lists_link_inputs = false;  // the linker knows --dependency-file
  // Why it is not known what nvcc runs and reads; then nothing that it makes in one piece is kept.
  // Empty: it is known, and in `tools`: without a dry run all of the toolkit's bin and nvvm folders
  // ("bin/ptxas", "nvvm/bin/cicc" ...).
  std::string unknown_tools;
  // Every file that the digests were made of.
  std::map<std::filesystem::path, Digest> files;
  // Why a feature is off; empty: it works (docs/nvcc.md, "The self-test").
  // The decomposed object differs from nvcc's, or its dry run is not understood
  std::string decompose_off;
  std::string kernel_check_off;  // template kernels have another body than the one that is replaced
  std::string detach_off;        // .fatbin.c has another text

  // One digest of all tools, for keys of whole compiles.
  Digest digest() const;

  // Are the files behind it still what they were? A toolkit may be replaced while a build runs:
  // then nothing that was made may be stored under the old digest. Costs a stat per file (about
  // 200).
  bool unchanged(ActionCache& cache) const;
};

// Finds and hashes the tools, and self-tests them once per digest (some seconds, then remembered by
// the cache). `nvcc` is the program with the options that choose the host compiler. A dry run that
// is not understood is no error: then plain nvcc does it all. Throws Error{environment} if a tool
// is missing.
Toolkit inspect_toolkit(const Toolchain& toolchain, const Words& nvcc, ActionCache& cache,
                        Reporter& reporter);

}  // namespace sagebuild
