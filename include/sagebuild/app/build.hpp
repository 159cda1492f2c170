#pragma once
// The whole program: settings in, a wheel out. Each stage takes values and gives a new one.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/app/cache.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolchain.hpp"
#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/forecast.hpp"
#include "sagebuild/model/source.hpp"
#include "sagebuild/model/wheel.hpp"
#include "sagebuild/nvcc/compile.hpp"
#include "sagebuild/plan/compression.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// The architectures as the user wrote them, and where; parsed when the recipe is known.
struct ArchChoice {
  std::string text;    // empty: the local GPU, else the recipe's default
  std::string origin;  // "--arch", "TORCH_CUDA_ARCH_LIST" ...
  // From a variable that base images set: what the code cannot serve is dropped with a warning
  bool inherited = false;
};

// What the provenance says of the source, where that is fetched from elsewhere or by its commit: a
// wheel that is built again says what the first one did.
struct ToldSource {
  std::string url;  // empty: a local folder
  std::string ref;
};

// Every field decided, nothing looked up later.
struct BuildSettings {
  SourceSpec source;  // no location: the recipe's
  std::optional<ToldSource> told_source;
  std::string recipe;  // name; empty: the one that fits the source, else sageattention
  std::optional<std::filesystem::path> recipe_file;  // this one instead
  ArchChoice archs;
  PythonChoice python;
  ToolchainChoice toolchain;
  std::filesystem::path output;
  Limits limits;
  CacheChoice cache;
  HeaderChoice headers = HeaderChoice::automatic;
  Compression compression = Compression::automatic;
  std::filesystem::path timeline;            // a Chrome trace of the steps; empty: none
  std::vector<std::string> setup_variables;  // --env: NAME or NAME=VALUE, for setup.py
  bool parts = true;                         // sources may be compiled in parts
  bool assume_gpus = false;  // setup.py is told of GPUs of the architectures asked for
  bool allow_cpu = false;    // a wheel without device code is no error
  bool force = false;        // takes the place of another wheel of its name
  bool patch = true;
  bool strict_patch = false;  // rules that do not fit are an error
  bool keep_temp = false;
  bool plain_platform = false;  // linux_x86_64, whatever manylinux tag would be true
  bool install = false;         // asked for: an environment that takes it must be there
  bool unverified = false;      // what verify finds in the wheel is a warning
  bool allow_foreign_owner = false;
};

// Up to the plan, and what the rest would cost.
struct PlanOutcome {
  BuildPlan plan;
  BuildForecast forecast;
};

PlanOutcome plan_build(BuildSettings settings, Reporter& report);

struct BuildOutcome {
  Wheel wheel;
  BuildPlan plan;
  std::vector<CompileOutcome> sources;  // which headers each source was compiled with, and why
  ExecOutcome execution;
  CacheCounters cache;
  PythonEnv python;             // that the wheel is for
  bool python_is_kept = false;  // made by sagebuild in its cache folder, and nobody's to use
};

BuildOutcome build(BuildSettings settings, Reporter& report);

}  // namespace sagebuild
