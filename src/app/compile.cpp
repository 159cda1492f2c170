#include "sagebuild/app/compile.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/stubs.hpp"
#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

PlannedSource with_toolkit_headers(PlannedSource source, const Toolchain& toolchain) {
  for (const fs::path& folder : toolchain.include_folders)
    source.recorded.argv.insert(source.recorded.argv.end(), {"-isystem", folder.string()});
  return source;
}

class GraphMaker {
 public:
  GraphMaker(const Toolchain& toolchain, const PythonEnv& python, const CompileRoom& room,
             std::shared_ptr<const CompileSettings> compile)
      : toolchain_(toolchain), python_(python), room_(room), compile_(std::move(compile)) {}

  void add(const PlannedModule& module) {
    std::vector<StepId> objects;
    for (const PlannedSource& source : module.sources) {
      make_folders(source.recorded.object.parent_path());
      if (source.recorded.language == Language::cuda && compile_->bridge && !bridge_) {
        // One serves all modules: it is compiled with the options of the first CUDA source.
        graph.push_back(bridge_step(with_toolkit_headers(source, toolchain_), *compile_));
        bridge_ = graph.size() - 1;
      }
    }
    StepGraph compiles = compiles_of(module);
    for (Step& compile : compiles) {
      graph.push_back(std::move(compile));
      objects.push_back(graph.size() - 1);
    }
    if (bridge_) objects.push_back(*bridge_);
    const fs::path linked = room_.work / "linked" / module.output;
    const fs::path stripped = room_.work / "modules" / module.output;
    make_folders(linked.parent_path());
    make_folders(stripped.parent_path());
    add_link(module, linked, stripped, std::move(objects));
    modules_[module.output] = stripped;
  }

  StepGraph graph;
  LinkedModules take_modules() { return std::move(modules_); }

 private:
  // What the linked module depends on: the command without this machine's folders, the objects, the tools, and the
  // torch whose libraries it is linked to.
  ActionKey link_key(const PlannedModule& module) const {
    std::vector<std::string> words;
    for (const std::string& word : module.link) {
      std::string text = word;
      for (const auto& [name, folder] : compile_->roots)
        text = replaced(std::move(text), folder.string(), "{" + name + "}");
      words.push_back(std::move(text));
    }
    ActionKey key("link", module.name);
    key.add("command", words);
    for (const PlannedSource& source : module.sources) {
      key.add(source.recorded.source.filename().string(), compile_->cache->file_digest(source.recorded.object));
    }
    if (bridge_ && compile_->bridge->fits) key.add("bridge", compile_->cache->file_digest(compile_->bridge->object));
    key.add("host compiler", compile_->toolkit->tools.at("host"));
    key.add("ld", compile_->toolkit->tools.at("ld"));
    key.add("torch", python_.torch ? python_.torch->version : "");
    key.add("cuda", toolchain_.nvcc_build);
    return key;
  }

  std::vector<std::string> undefined_in(const PlannedModule& module) const {
    std::vector<std::string> undefined;
    for (const PlannedSource& source : module.sources)
      std::ranges::move(undefined_symbols(source.recorded.object), std::back_inserter(undefined));
    return undefined;
  }

  static bool needs_bridge(const std::vector<std::string>& undefined) {
    return std::ranges::any_of(
        undefined, [](const auto& symbol) { return symbol.find("16sagebuild_bridge") != std::string::npos; });
  }

  // Compiles do not wait for the bridge, and their objects serve every torch: some may need one that this torch cannot
  // have.
  bool lacks_bridge(const PlannedModule& module) const {
    return bridge_ && !compile_->bridge->fits && needs_bridge(undefined_in(module));
  }

  // The driver's library is not on a build machine: a stub with the same soname stands in.
  fs::path cuda_stubs(const PlannedModule& module, std::vector<std::string> symbols) const {
    if (const fs::path own = toolkit_stubs(toolchain_.cuda_home); !own.empty()) return own;
    std::erase_if(symbols, [](const auto& symbol) { return !symbol.starts_with("cu"); });
    return libcuda_stub(symbols, room_.work / "stubs" / module.name, toolchain_.host_compiler);
  }

  Command link_command(const PlannedModule& module, const fs::path& output) const {
    Command command{.argv = module.link, .cwd = module.link_cwd};
    command.env["TMPDIR"] = room_.work;
    *(std::ranges::find(command.argv, "-o") + 1) = output.string();
    std::vector<std::string> undefined = undefined_in(module);
    if (needs_bridge(undefined)) {
      const auto object = std::ranges::find_if(command.argv, [](const auto& word) { return word.ends_with(".o"); });
      command.argv.insert(object, compile_->bridge->object.string());
    }
    const auto libcuda = std::ranges::find(command.argv, "-lcuda");
    if (libcuda != command.argv.end())
      command.argv.insert(libcuda, "-L" + cuda_stubs(module, std::move(undefined)).string());
    return command;
  }

  StepGraph compiles_of(const PlannedModule& module) const {
    StepGraph steps;
    for (const PlannedSource& source : module.sources)
      steps.push_back(compile_step(with_toolkit_headers(source, toolchain_), module.name, compile_));
    return steps;
  }

  // Linked and stripped in one step of two sub-steps, so that only the finished module is kept in the cache.
  void add_link(const PlannedModule& module, const fs::path& linked, const fs::path& stripped,
                std::vector<StepId> objects) {
    Step step;
    step.kind = "module";
    step.subject = module.name;
    step.label = fmt::format("module {}", module.name);
    step.after = std::move(objects);
    step.key = [this, &module] { return lacks_bridge(module) ? std::nullopt : std::optional(link_key(module)); };
    step.outputs = {{"module", stripped}};
    step.expand = [this, &module, linked, stripped](const StepFailure* failure) -> std::optional<StepGraph> {
      if (failure != nullptr) return std::nullopt;
      StepGraph steps;
      if (lacks_bridge(module)) steps = compiles_of(module);
      Step link{.kind = "link", .subject = module.name, .label = fmt::format("link {}", module.name)};
      for (StepId id = 0; id < steps.size(); ++id) link.after.push_back(id);
      link.command = [this, &module, linked] { return link_command(module, linked); };
      steps.push_back(std::move(link));
      Step strip{.kind = "strip", .subject = module.name, .label = fmt::format("strip {}", module.name)};
      strip.after = {steps.size() - 1};
      strip.command = [linked, stripped] {
        return Command{.argv = {"strip", "--strip-unneeded", "-o", stripped.string(), linked.string()}};
      };
      steps.push_back(std::move(strip));
      return steps;
    };
    graph.push_back(std::move(step));
  }

  const Toolchain& toolchain_;
  const PythonEnv& python_;
  const CompileRoom& room_;
  std::shared_ptr<const CompileSettings> compile_;
  std::optional<StepId> bridge_;
  LinkedModules modules_;
};

// setuptools puts a virtual environment's own include folder, mostly empty, on every command. Without a name for it,
// each environment would have keys of its own.
fs::path venv_include(const PythonEnv& python) {
  const fs::path home = python.executable.parent_path().parent_path();
  return fs::exists(home / "pyvenv.cfg") ? home / "include" : fs::path();
}

// What is torch's, Python's, CUDA's, the system's or ours.
std::vector<fs::path> foreign_headers(const CompileSettings& compile, const Toolchain& toolchain,
                                      const PythonEnv& python) {
  std::vector<fs::path> folders = {compile.headers, toolchain.cuda_home, python.include};
  std::error_code ignored;
  folders.push_back(fs::weakly_canonical(toolchain.cuda_home, ignored));
  if (python.torch) folders.push_back(python.torch->root / "include");
  std::ranges::copy(toolchain.include_folders, std::back_inserter(folders));
  std::ranges::copy(compile.toolkit->system_includes, std::back_inserter(folders));
  return folders;
}

std::shared_ptr<CompileSettings> compile_settings(const BuildPlan& plan, const Toolchain& toolchain,
                                                  const PythonEnv& python, const CompileRoom& room,
                                                  HeaderChoice headers, const ExecSettings& execution,
                                                  Reporter& report) {
  auto compile = std::make_shared<CompileSettings>();
  const Words nvcc = {toolchain.nvcc.string(), "-ccbin", toolchain.host_compiler.string()};
  compile->toolkit = std::make_shared<Toolkit>(inspect_toolkit(toolchain, nvcc, *execution.cache, report));
  compile->headers = data_folder() / "patches" / "headers";
  compile->work = room.work / "compile";
  const bool has_stand_ins =
      headers == HeaderChoice::automatic ? plan.stand_ins_proved : headers != HeaderChoice::full;
  if (has_stand_ins && includes_torch(room.project))
    compile->bridge = std::make_shared<TorchBridge>(TorchBridge{.object = room.work / "bridge" / "torch_bridge.o"});
  compile->roots = {{"tree", room.project},
                    {"site", python.site_packages},
                    {"cuda", toolchain.cuda_home},
                    {"python", python.include}};
  if (const fs::path include = venv_include(python); !include.empty()) compile->roots["venv"] = include;
  compile->project = room.name;
  compile->date = source_date_epoch();
  compile->choice = headers;
  compile->stand_ins_proved = plan.stand_ins_proved;
  compile->foreign_headers = foreign_headers(*compile, toolchain, python);
  compile->keep_temporary = room.keep;
  compile->prepend_flags = environment_value("NVCC_PREPEND_FLAGS").value_or("");
  compile->append_flags = environment_value("NVCC_APPEND_FLAGS").value_or("");
  compile->cache = execution.cache;
  compile->reporter = &report;
  return compile;
}

// What one source adds to the forecast; the memory of its steps goes to `memory`.
SourceForecast forecast_of(Foresight foresight, const CostHistory* history, BuildForecast& all,
                           std::vector<std::uint64_t>& memory) {
  SourceForecast source{foresight.cached, describe(foresight.outcome.mode), foresight.outcome.reason, 0};
  for (Step& step : foresight.steps) {
    const auto known = weigh(step, history);
    source.cpu_seconds += known ? known->cpu_seconds : step.expected_seconds;
    memory.push_back(step.expected_memory);
  }
  for (const double chain : critical_path(foresight.steps)) all.wall_seconds = std::max(all.wall_seconds, chain);
  all.cpu_seconds += source.cpu_seconds;
  return source;
}

}  // namespace

BuildForecast foresee_modules(const BuildPlan& plan, const Toolchain& toolchain, const PythonEnv& python,
                              const CompileRoom& room, HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report) {
  const auto compile = compile_settings(plan, toolchain, python, room, headers, execution, report);
  BuildForecast forecast;
  std::vector<std::uint64_t> memory;
  for (const PlannedModule& module : plan.modules) {
    for (const PlannedSource& source : module.sources) {
      auto foresight = foresee_compile(with_toolkit_headers(source, toolchain), module.name, *compile);
      forecast.sources.push_back(forecast_of(std::move(foresight), execution.history, forecast, memory));
    }
  }
  const std::size_t jobs = std::max(1U, execution.limits.jobs);
  forecast.wall_seconds = std::max(forecast.wall_seconds, forecast.cpu_seconds / static_cast<double>(jobs));
  std::ranges::sort(memory, std::ranges::greater{});
  for (std::size_t i = 0; i < std::min(jobs, memory.size()); ++i) forecast.peak_memory += memory[i];
  return forecast;
}

ModuleOutcome compile_modules(const BuildPlan& plan, const Toolchain& toolchain, const PythonEnv& python,
                              const CompileRoom& room, HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report) {
  ModuleOutcome outcome;
  const auto compile = compile_settings(plan, toolchain, python, room, headers, execution, report);
  compile->on_outcome = [&outcome, &report](const CompileOutcome& source) {
    outcome.sources.push_back(source);
    // Minutes more, so the user is told why.
    if (!source.reason.empty())
      report.note(fmt::format("{}: {}, because {}", source.label, describe(source.mode), source.reason));
  };

  GraphMaker maker(toolchain, python, room, compile);
  for (const PlannedModule& module : plan.modules) maker.add(module);
  outcome.execution = execute(std::move(maker.graph), execution, report);
  outcome.modules = maker.take_modules();
  return outcome;
}

}  // namespace sagebuild
