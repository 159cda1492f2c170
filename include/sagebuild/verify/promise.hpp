#pragma once
// What a wheel promises: which GPUs, which torch, which CUDA.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sagebuild/model/arch.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/verify/torch_symbols.hpp"

namespace sagebuild {

// A module as sagebuild.json tells of it: for each source the GPUs that it was compiled for.
struct MadeModule {
  std::string stem;  // "_fused"
  struct Made {
    Arch arch;
    bool ptx = false;  // else machine code
  };
  std::vector<std::vector<Made>> sources;
};

// Who says which GPUs must be served.
inline constexpr std::string_view kAsked = "--arch", kProvenance = "its provenance",
                                  kName = "its name", kDescription = "its description";
// Who says which torch.
inline constexpr std::string_view kLabel = "its label", kMetadata = "METADATA";

struct StatedTorch {
  std::string_view who;  // one of these
  Version torch;
};

struct Promise {
  ArchList archs;      // that must be served; empty: nobody said
  std::string origin;  // one of these
  std::optional<Recipe> recipe;
  std::vector<MadeModule> made;      // empty: no provenance
  std::optional<Version> cuda;       // of the provenance, else of the label
  std::optional<Version> torch;      // the same
  std::vector<StatedTorch> torches;  // what each of both says, the provenance first
  bool is_torch_release = true;      // no nightly, and none of a vendor's own
  // What METADATA asks of torch on Linux, "==2.11.*"; empty: any; nothing: it does not ask for it
  std::optional<std::string> torch_asked;
  bool is_torch_decided = true;    // else of several lines nothing here tells which one holds
  bool wants_packages = false;     // METADATA asks for others than torch
  std::string commit;              // that it was made from; empty: not known
  std::string made_by;             // name of that recipe
  std::vector<std::string> rules;  // of it that were applied
  // What torch exports: by the list that comes with sagebuild (null: it is not there, or nothing
  // wants torch), and the one torch that the user named
  std::shared_ptr<const TorchSymbols> known_torch, given_torch;
};

// `asked` is what the user wrote with --arch. The recipe is the one that its provenance names, else
// the first of its package. Provenance
// that cannot be read counts as none. Throws Error{usage} for an `asked` that is no list.
Promise promise_of(const WheelFacts& wheel, const std::vector<Recipe>& recipes,
                   const std::optional<std::string>& asked);

// "_fused" of "sageattention._fused".
std::string stem_of(const RecipeModule& module);
// What the wheel's recipe tells of a module; null: nothing.
const RecipeModule* recipe_module(const Promise& promise, const std::string& stem);

// Whether what that recipe says of its modules was shown, and did not only seem so.
bool is_recipe_proved(const Promise& promise);

// Whether this module has to serve that GPU. Its recipe knows best, of the GPUs that it names at
// all: _qattn_sm90 is for 9.0 alone.
// Else, where the wheel's provenance promises that GPU, what the module was compiled for. Else
// every module has to.
bool must_serve(const Promise& promise, const std::string& stem, Arch gpu);
// Whether it has to hold PTX for newer GPUs, where "12.0+PTX" was promised.
bool must_hold_ptx(const Promise& promise, const std::string& stem, const ArchRequest& request);

// Modules of the wheel's recipe and version that it lacks, and that serve this GPU. `is_needed`:
// the project calls it there by itself.
struct MissingModule {
  std::string name;
  bool is_needed = true;
};
std::vector<MissingModule> missing_modules(const WheelFacts& wheel, const Promise& promise,
                                           Arch gpu);

// Of the kernels with traps that this GPU takes, those that may be called there: the recipe knows
// which are not.
std::vector<GpuKernel> wrong_traps(const Promise& promise, const std::string& stem,
                                   const GpuService& service, Arch gpu);

}  // namespace sagebuild
