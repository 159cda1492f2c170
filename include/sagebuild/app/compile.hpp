#pragma once
// From the plan to linked modules: the graph of compile, link and strip steps, and its run.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sagebuild/exec/scheduler.hpp"
#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/model/environment.hpp"
#include "sagebuild/model/forecast.hpp"
#include "sagebuild/nvcc/compile.hpp"
#include "sagebuild/nvcc/toolkit.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

// Path in the wheel -> linked and stripped file.
using LinkedModules = std::map<std::filesystem::path, std::filesystem::path>;

struct CompileContext {
  std::string name;  // of the project: part of every module id
  // Folder of setup.py; its place is mapped away in objects and keys
  std::filesystem::path project;
  std::filesystem::path work;  // private
  bool keep = false;           // leave the stages' files
  bool parts = true;           // sources may be compiled in parts
};

struct ModuleOutcome {
  LinkedModules modules;
  std::vector<CompileOutcome> sources;  // which headers each source has, and why
  ExecOutcome execution;
  std::map<std::string, Digest> tools;  // what compiled, linked and stripped
};

ModuleOutcome compile_modules(const BuildPlan& plan, std::shared_ptr<const Toolkit> toolkit,
                              const PythonEnv& python, const CompileContext& context,
                              HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report);

// What that would cost. Compiles nothing.
BuildForecast predict_modules(const BuildPlan& plan, std::shared_ptr<const Toolkit> toolkit,
                              const PythonEnv& python, const CompileContext& context,
                              HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report);

}  // namespace sagebuild
