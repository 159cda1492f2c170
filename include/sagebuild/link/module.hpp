#pragma once
// How the objects of a module become the module: with the bridge if they ask for it, and if they do
// not fit each other, with objects that are made once more.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sagebuild/link/link.hpp"

namespace sagebuild {

// What is different when the objects of a module are made once more.
enum class Remake {
  without_bridge,  // torch's bridge does not compile with this torch
  full_headers     // the objects do not find each other
};
// "without-bridge", "full": what private folders are called after.
std::string_view name_of(Remake remake);

// The steps that compile a module's objects, and where those will lie.
struct ObjectSteps {
  StepGraph steps;
  LinkObjects objects;
};

// How one build makes modules of objects. Modules share it.
struct ModuleMaking {
  std::shared_ptr<const LinkSettings> link;
  // The object that answers for torch; empty: the build has none.
  std::filesystem::path bridge;
  std::function<bool()> bridge_fits;  // asked when the objects are there
  // Compiles the module's objects once more, elsewhere.
  std::function<ObjectSteps(const PlannedModule&, Remake)> remake;
  // The objects are compiled with torch's own headers: no others would fit better.
  bool has_full_headers = false;
};

// The step that makes `output` of `objects`, which are there when it starts: its `after` is the
// caller's to fill. Links, and if that fails since the objects do not fit each other, says so, has
// them made with torch's own headers, and links those. `module` outlives the step.
Step module_step(const PlannedModule& module, LinkObjects objects,
                 const std::filesystem::path& output, ModuleMaking making);

// One digest of what links and strips, from the digests of a toolkit's tools: the host compiler,
// which also stands for the linker that it finds, and strip.
Digest link_tools(const std::map<std::string, Digest>& tools);

}  // namespace sagebuild
