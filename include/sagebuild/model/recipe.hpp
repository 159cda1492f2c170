#pragma once
// What sagebuild knows of one project: patches/NAME.toml as values. The rules are the patch
// engine's (patch/rule.hpp reads them from the same file); here is what planning needs. Every key
// is told in docs/recipes.md.

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sagebuild/base/toml.hpp"
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

// Kernels that end in a trap on GPUs where nothing calls them.
struct MayTrap {
  ArchList archs;                    // GPUs
  std::vector<std::string> kernels;  // texts in their mangled names
  std::string reason;
};

struct RecipeModule {
  std::string name;                   // "sageattention._qattn_sm89", or its last part
  std::vector<RecipeTarget> targets;  // requests not named here get nothing from this module
  std::string reason;                 // why this set
  StageCosts costs = {};              // of each of its sources, per architecture
  unsigned parts = 1;                 // each of its sources may be compiled in, at most
  std::vector<MayTrap> may_trap = {};
  // GPUs on which the project calls it by itself; elsewhere only who names it. Empty: all of
  // targets
  ArchList needed_by = {};
  // Versions of the project that have it: from `since` on, and before `until`. Empty: all.
  std::optional<Version> since = {};
  std::optional<Version> until = {};
};

// For which sources the headers that stand in for torch's are known to give the same code and the
// same numbers.
struct ProvedSources {
  bool everything = false;  // by the user's own word (--headers facade, check)
  // Per version of the project: the source_digest of every file of it that a compile may read, in
  // hex.
  std::vector<std::set<std::string, std::less<>>> versions = {};
  // That its commands define, beside torch's and setuptools'
  std::set<std::string, std::less<>> macros = {};

  bool empty() const { return !everything && versions.empty(); }
};

// A commit that people ask for and that gives wrong results.
struct KnownBad {
  std::string tag;
  std::vector<std::string> commits;  // the first digits of each, 7 or more
  ArchList archs;                    // where it is bad; empty: everywhere
  std::string reason;
  std::string mended_by;  // id of the rule that mends it; empty: none does

  // Whether one of these architectures is affected. With an empty list nothing is known of them,
  // and it counts as affected.
  bool shows_on(const ArchList& asked) const;
};

// A function that computes attention, as `verify --gpu` calls it: FUNCTION(q, k, v, **arguments).
struct GpuCheck {
  std::string function;  // "sageattention.sageattn"
  ArchList archs;        // GPUs that it is for
  std::map<std::string, TomlScalar, std::less<>> arguments = {};
  std::string module = {};  // of the wheel, that it calls: "_qattn_sm80"; or empty
  std::vector<std::string> layouts = {"HND"};  // HND, NHD; or varlen alone
  std::vector<std::string> dtypes = {"float16", "bfloat16"};
  std::string causal = "is_causal";   // the argument that asks for a causal mask
  bool grouped = true;                // takes fewer heads of keys than of queries
  double similarity = 0;              // cosine to torch's reference, at least
  double relative_l1 = 0;             // sum of differences by sum of the reference's, at most
  std::optional<Version> since = {};  // the project's version that has it first
  std::string reason = {};
};

struct Recipe {
  std::string name;                 // "sageattention"
  std::filesystem::path file;       // where it was read
  std::string url;                  // default source
  std::string ref;                  // default ref
  std::string package;              // wheel's distribution name
  std::string subfolder;            // folder of setup.py inside the tree; empty: the top
  std::vector<std::string> detect;  // texts that setup.py must hold for this recipe to fit
  // TORCH_CUDA_ARCH_LIST while recording: all modules, `;` between items
  std::string record_archs;
  ArchList default_archs;
  std::vector<RecipeModule> modules;
  // Shown by `--headers check` and on a GPU. Other sources, those of a fork too, are compiled with
  // torch's own headers.
  ProvedSources proved = {};
  std::vector<KnownBad> known_bad;
  std::vector<GpuCheck> gpu_checks = {};
  // Globs of paths that a partial repository may lack ("assets/*")
  std::vector<std::string> may_miss;
};

}  // namespace sagebuild
