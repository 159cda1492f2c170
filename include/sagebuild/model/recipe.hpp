#pragma once
// What sagebuild knows of one project: patches/NAME.toml as values. The rules are the patch engine's (patch/rule.hpp
// reads them from the same file); here is what planning needs.

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/stage_costs.hpp"

namespace sagebuild {

// What one request compiles to, in one module: `real` machine code made from `virtual_arch`.
struct RecipeTarget {
  Arch request;              // the user's 9.0
  Arch virtual_arch;         // compute_90a
  Arch real;                 // sm_90a
  bool ptx_allowed = false;  // may carry PTX of a plain architecture for newer GPUs
  std::string reason;
};

struct RecipeModule {
  std::string name;                   // "sageattention._qattn_sm89", or its last part
  std::vector<RecipeTarget> targets;  // requests not named here get nothing from this module
  std::string reason;                 // why this set
  StageCosts costs = {};              // of each of its sources, per architecture
};

// For which sources the headers that stand in for torch's are known to give the same code and the same numbers.
struct ProvedSources {
  bool everything = false;  // by the user's own word (--headers facade, check)
  // Per version of the project: the source_digest of every file of it that a compile may read, in hex.
  std::vector<std::set<std::string, std::less<>>> versions = {};
  std::set<std::string, std::less<>> macros = {};  // that its commands define, beside torch's and setuptools'

  bool empty() const { return !everything && versions.empty(); }
};

struct Recipe {
  std::string name;                 // "sageattention"
  std::filesystem::path file;       // where it was read
  std::string url;                  // default source
  std::string ref;                  // default ref
  std::string package;              // wheel's distribution name
  std::string subfolder;            // folder of setup.py inside the tree; empty: the top
  std::vector<std::string> detect;  // texts that setup.py must hold for this recipe to fit
  std::string record_archs;         // TORCH_CUDA_ARCH_LIST while recording: all modules, `;` between items
  ArchList default_archs;
  std::vector<RecipeModule> modules;
  // Shown by `--headers check` and on a GPU. Other sources, those of a fork too, are compiled with torch's own headers.
  ProvedSources proved = {};
  std::vector<std::string> may_miss;  // globs of paths that a partial repository may lack ("assets/*")
};

}  // namespace sagebuild
