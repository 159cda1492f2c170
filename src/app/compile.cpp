#include "sagebuild/app/compile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/stubs.hpp"
#include "sagebuild/plan/plan.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Seconds and bytes by kind where nothing was recorded: torch's headers cost this much (facts/sageattention.md section
// 9).
constexpr double kHostPassSeconds = 25;
constexpr double kDevicePassSeconds = 45;
constexpr std::uint64_t kCudaMemory = 3'200'000'000;
constexpr std::uint64_t kHostMemory = 1'900'000'000;

class GraphMaker {
 public:
  GraphMaker(const Toolchain& toolchain, const PythonEnv& python, const CompileRoom& room)
      : toolchain_(toolchain), python_(python), room_(room) {}

  void add(const PlannedModule& module) {
    std::vector<StepId> objects;
    for (const PlannedSource& source : module.sources) objects.push_back(add_compile(module, source));
    const fs::path linked = room_.work / "linked" / module.output;
    const fs::path stripped = room_.work / "modules" / module.output;
    make_folders(linked.parent_path());
    make_folders(stripped.parent_path());
    const StepId link = add_link(module, linked, std::move(objects));
    add_strip(module, linked, stripped, link);
    modules_[module.output] = stripped;
  }

  StepGraph graph;
  LinkedModules take_modules() { return std::move(modules_); }

 private:
  // What the objects say of folders: the project and the environment by fixed names, whatever they are called here.
  std::vector<std::string> path_maps() const {
    return {fmt::format("-ffile-prefix-map={}=.", room_.project.string()),
            fmt::format("-ffile-prefix-map={}=site-packages", python_.site_packages.string())};
  }

  std::vector<std::string> compile_argv(const PlannedSource& source) const {
    const bool is_cuda = source.recorded.language == Language::cuda;
    std::vector<std::string> argv = source.recorded.argv;
    if (source.recorded.language != Language::c) argv.push_back("-std=" + source.cxx_standard);
    for (const std::string& option : path_maps()) {
      if (is_cuda) argv.push_back("-Xcompiler");
      argv.push_back(option);
    }
    for (const fs::path& folder : toolchain_.include_folders) {
      argv.push_back("-isystem");
      argv.push_back(folder.string());
    }
    if (is_cuda) {
      for (std::string& option : gencode_options(source.targets)) argv.push_back(std::move(option));
    }
    argv.insert(argv.end(), {"-c", source.recorded.source.string(), "-o", source.recorded.object.string()});
    return argv;
  }

  StepId add_compile(const PlannedModule& module, const PlannedSource& source) {
    const bool is_cuda = source.recorded.language == Language::cuda;
    const std::string file = source.recorded.source.filename();
    make_folders(source.recorded.object.parent_path());
    Step step;
    step.kind = is_cuda ? "nvcc" : "g++";
    step.subject = fmt::format("{} {}", module.name, file);
    step.label = is_cuda ? fmt::format("nvcc {} ({})", file, describe(source.targets)) : fmt::format("g++ {}", file);
    step.command = [argv = compile_argv(source), cwd = source.recorded.cwd] {
      return Command{.argv = argv, .cwd = cwd};
    };
    step.finish = [object = source.recorded.object] {
      if (!fs::exists(object))
        throw Error(ErrorKind::failed, fmt::format("the compiler wrote no '{}'", object.string()));
    };
    step.expected_seconds = kHostPassSeconds + kDevicePassSeconds * static_cast<double>(source.targets.size());
    step.expected_memory = is_cuda ? kCudaMemory : kHostMemory;
    graph.push_back(std::move(step));
    return graph.size() - 1;
  }

  // The driver's library is not on a build machine: a stub with the same soname stands in.
  fs::path cuda_stubs(const PlannedModule& module) const {
    if (const fs::path own = toolkit_stubs(toolchain_.cuda_home); !own.empty()) return own;
    Command command{.argv = {"nm", "-u", "--format=posix"}};
    for (const PlannedSource& source : module.sources) command.argv.push_back(source.recorded.object.string());
    std::vector<std::string> symbols;
    for (const auto line : lines_of(run_checked(command, "cannot read the symbols of the objects").output)) {
      const auto words = split(line, " ");
      if (!words.empty() && words.front().starts_with("cu")) symbols.emplace_back(words.front());
    }
    return libcuda_stub(symbols, room_.work / "stubs" / module.name, toolchain_.host_compiler);
  }

  StepId add_link(const PlannedModule& module, const fs::path& output, std::vector<StepId> objects) {
    Step step;
    step.kind = "link";
    step.subject = module.name;
    step.label = fmt::format("link {}", module.name);
    step.after = std::move(objects);
    step.command = [this, &module, output] {
      Command command{.argv = module.link, .cwd = module.link_cwd};
      *(std::ranges::find(command.argv, "-o") + 1) = output.string();
      const auto libcuda = std::ranges::find(command.argv, "-lcuda");
      if (libcuda != command.argv.end()) command.argv.insert(libcuda, "-L" + cuda_stubs(module).string());
      return command;
    };
    graph.push_back(std::move(step));
    return graph.size() - 1;
  }

  void add_strip(const PlannedModule& module, const fs::path& linked, const fs::path& stripped, StepId link) {
    Step step;
    step.kind = "strip";
    step.subject = module.name;
    step.label = fmt::format("strip {}", module.name);
    step.after = {link};
    step.command = [linked, stripped] {
      return Command{.argv = {"strip", "--strip-unneeded", "-o", stripped.string(), linked.string()}};
    };
    step.expected_seconds = 0.2;
    graph.push_back(std::move(step));
  }

  const Toolchain& toolchain_;
  const PythonEnv& python_;
  const CompileRoom& room_;
  LinkedModules modules_;
};

}  // namespace

CompileOutcome compile(const BuildPlan& plan, const Toolchain& toolchain, const PythonEnv& python,
                       const CompileRoom& room, const Limits& limits, Reporter& report) {
  GraphMaker maker(toolchain, python, room);
  for (const PlannedModule& module : plan.modules) maker.add(module);
  CompileOutcome outcome;
  outcome.execution = execute(std::move(maker.graph), {limits, room.logs}, report);
  outcome.modules = maker.take_modules();
  return outcome;
}

}  // namespace sagebuild
