#pragma once
// From a module's objects to the linked and stripped module: one cached step. Its key names the
// command, the objects and the tools; what else the linker read (libraries, archives, scripts,
// start files) it is asked for, and the cache compares it by content. A module that wants symbols
// which nothing exports is refused before it is kept.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/step.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// What the links of one build share.
struct LinkSettings {
  PathRoots roots;             // as those of the compiles
  std::filesystem::path work;  // private folders are made below it
  // Of the toolkit.
  std::filesystem::path host_compiler;
  Digest tools;  // what links and strips
  // Where the driver and the linker look behind every -L
  std::vector<std::filesystem::path> library_folders;
  bool lists_inputs = false;  // the linker knows --dependency-file; else nothing is cached
  std::function<bool()> tools_unchanged;  // asked before a module is kept
  std::filesystem::path driver_stubs;     // with a libcuda.so; empty: one is made
  // Who exports what a module wants beside the libraries that it is linked to: Python's program;
  // folders of torch's and CUDA's libraries. Read in this order, and only while something is
  // missing.
  std::vector<std::filesystem::path> provider_files;
  std::vector<std::filesystem::path> provider_folders;
  ActionCache* cache = nullptr;
  Reporter* reporter = nullptr;
};

// Where an object of `module` lies now, by the place that the link command names (absolute).
using LinkObjects = std::map<std::filesystem::path, std::filesystem::path>;

// The step that links `module` and leaves it, stripped, as `output`. `bridge` is one more object;
// empty: none. `name` is its private folder's, below work. To be made when the objects are there:
// the files that the command names are looked at. The step fails with Error{failed} that says
// "undefined symbol" if nothing exports what the module wants.
Step link_step(const PlannedModule& module, const LinkObjects& objects,
               const std::filesystem::path& bridge, const std::filesystem::path& output,
               const std::string& name, std::shared_ptr<const LinkSettings> settings);

// Why the objects do not fit each other: the line that says so of a symbol which is missing, or
// there twice. Others of the same sources may: with headers that stand in for torch's, a function
// has another name if a parameter's type has. Nothing: the link failed for another reason.
std::optional<std::string> misfit_of_objects(const StepFailure& failure);

}  // namespace sagebuild
