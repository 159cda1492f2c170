#pragma once
// From the plan to linked modules: the graph of compile, link and strip steps, and its run.

#include <filesystem>
#include <map>

#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// Path in the wheel -> linked and stripped file.
using LinkedModules = std::map<std::filesystem::path, std::filesystem::path>;

struct CompileRoom {
  std::filesystem::path project;  // folder of setup.py; its name is mapped away in the objects
  std::filesystem::path work;     // private; modules are linked here
  std::filesystem::path logs;     // one log per step
};

struct CompileOutcome {
  LinkedModules modules;
  ExecOutcome execution;
};

CompileOutcome compile(const BuildPlan& plan, const Toolchain& toolchain, const PythonEnv& python,
                       const CompileRoom& room, const Limits& limits, Reporter& report);

}  // namespace sagebuild
