#pragma once
// A finished wheel and what it says of itself.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/model/provenance.hpp"
#include "sagebuild/model/source.hpp"

namespace sagebuild {

struct Wheel {
  std::filesystem::path path;
};

// How a source of the plan was compiled.
struct CompiledSource {
  std::string module;   // "sageattention._fused"
  std::string source;   // "fused.cu"
  std::string headers;  // "facade headers"
  std::size_t parts = 1;
};

// Everything that goes into NAME.dist-info/sagebuild.json.
struct Provenance {
  std::string sagebuild_version;
  std::string recipe;
  PatchedTree tree;
  Toolchain toolchain;
  PythonEnv python;
  BuildPlan plan;
  BuildParameters parameters = {};
  // Of the toolkit and the host compiler, by name: "ptxas", "host"
  std::map<std::string, Digest> tools = {};
  std::vector<CompiledSource> sources = {};  // empty before anything is compiled
};

}  // namespace sagebuild
