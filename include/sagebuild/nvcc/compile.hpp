#pragma once
// One planned source becomes steps: a .cu taken apart into nvcc's stages with our headers in front,
// or left to plain nvcc; a .cpp with the binding header. What the stages are: docs/nvcc.md.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/step.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/nvcc/toolkit.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// Which headers stand in front of the include path in one pass: small ones of ours for .cu files
// (facade) and for .cpp files (binding), or none, so that torch's own are read (full).
enum class HeaderMode { facade, binding, full };
std::string_view name_of(HeaderMode mode);

// --headers. Headers that stand in for torch's serve where they are proved: `automatic` takes them
// for projects whose recipe vouches for them and torch's own for all others, since a detection
// idiom or an overload could turn out differently and no check would see it. `facade` takes them
// for any project, `check` too, with the proof of device code and exports.
enum class HeaderChoice { automatic, facade, full, check };
std::string_view name_of(HeaderChoice choice);  // "auto", "facade", "full", "check"
// Nothing for another word.
std::optional<HeaderChoice> header_choice_named(std::string_view name);

// With which headers a source is compiled.
struct CompileMode {
  HeaderMode device = HeaderMode::full;
  HeaderMode host = HeaderMode::full;
  bool plain = false;  // by nvcc itself, in one piece

  bool operator==(const CompileMode&) const = default;
};
std::string describe(
    const CompileMode& mode);  // "facade headers", "facade device, full host headers", "plain nvcc"

struct CompileOutcome {
  std::string label;  // "sageattention._fused fused.cu"
  CompileMode mode;
  std::string reason;  // why not an earlier mode; empty: the first one fitted
  std::size_t parts = 1;
  std::string whole_reason = {};  // why it is in one piece although it may be cut
  bool cached = false;            // found whole: this is how it was made
};

// What the facade needs on the host: an object that asks the real torch (patches/headers/bridge).
struct TorchBridge {
  std::filesystem::path object;  // to be linked into every module whose objects refer to it
  // Until it turns out that it does not compile with this torch's headers. Written by the
  // scheduler's thread, read by all. It is not decided before the graph is made, since it takes 9 s
  // on one core, in which the device side of all sources goes on.
  std::atomic<bool> fits = true;
};

// What the compiles of one build share.
struct CompileSettings {
  std::shared_ptr<const Toolkit> toolkit;
  std::filesystem::path headers;  // the folder with facade/, bridge/ and binding/
  std::filesystem::path work;     // private folders are made below it
  // "tree" (the project), "site" (site-packages of torch), "cuda", "python": nothing of them
  // reaches an object or a key.
  PathRoots roots;
  std::string project;  // "sageattention": part of every module id
  // What sources see as __DATE__, __TIME__ and __TIMESTAMP__, in seconds since 1970: else no two
  // builds would agree.
  std::int64_t date = 0;
  HeaderChoice choice = HeaderChoice::automatic;
  ProvedSources proved = {};  // sources that may have our headers
  // Folders whose headers are nobody's but torch's, Python's, CUDA's and the system's, absolute.
  // What other files ask of the preprocessor must not depend on which headers stand in.
  std::vector<std::filesystem::path> foreign_headers = {};
  std::string prepend_flags, append_flags;  // NVCC_PREPEND_FLAGS, NVCC_APPEND_FLAGS as recorded
  bool keep_temporary = false;              // leave the private folders
  bool parts = true;                        // sources may be compiled in parts
  std::shared_ptr<TorchBridge> bridge;      // none: host passes have torch's own headers
  ActionCache* cache = nullptr;
  Reporter* reporter = nullptr;
  // Once per source, compiled or found in the cache; may be empty
  std::function<void(const CompileOutcome&)> on_outcome;
};

// The step that makes `source.recorded.object`. Nothing is run or read before its `expand` is
// asked. Throws Error{usage} if the source is CUDA and has no target, Error{environment} if our
// headers are not where they should.
Step compile_step(const PlannedSource& source, const std::string& module,
                  std::shared_ptr<const CompileSettings> settings);

// Some file of the project in `tree` includes a header of torch's; else there is nothing to bridge.
bool includes_torch(const std::filesystem::path& tree);

// The step that makes `settings.bridge->object`, with the torch that `source`, a CUDA source, is
// compiled with. Compiles do not wait for it. If it does not compile, it says so, and what is
// compiled from then on does without.
Step bridge_step(const PlannedSource& source, const CompileSettings& settings);

// For `plan`: what would be done, without doing it (one dry run, 10 ms). Throws as compile_step.
struct CompilePrediction {
  // The mode that fitted last time, else the first that will be tried; why if it is plain nvcc
  CompileOutcome outcome;
  bool cached = false;  // the object is in the cache
  StepGraph steps;      // of that mode; none if cached
};
CompilePrediction predict_compile(const PlannedSource& source, const std::string& module,
                                  const CompileSettings& settings);

// "_3fa9c1d2_8_fused_cu_0b7e55aa": for the same source of the same project always the same, in
// every folder, for every torch and Python. Two sources of one module never share it.
std::string module_id(const std::filesystem::path& source_in_project, const std::string& project,
                      const std::string& module);

}  // namespace sagebuild
