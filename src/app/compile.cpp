#include "sagebuild/app/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/link/module.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/response_files.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// The compile as everything below sees it: with the toolkit's extra headers, and with the words of
// g++'s @files in their place, so that what those say is in every key.
PlannedSource as_compiled(PlannedSource source, const Toolchain& toolchain) {
  RecordedSource& recorded = source.recorded;
  if (recorded.language != Language::cuda)
    recorded.argv = with_response_files(std::move(recorded.argv), recorded.cwd);
  for (const fs::path& folder : toolchain.include_folders)
    recorded.argv.insert(recorded.argv.end(), {"-isystem", folder.string()});
  return source;
}

class GraphMaker {
 public:
  GraphMaker(const Toolchain& toolchain, const CompileContext& context,
             std::shared_ptr<const CompileSettings> compile,
             std::shared_ptr<const LinkSettings> link)
      : toolchain_(toolchain),
        context_(context),
        compile_(std::move(compile)),
        link_(std::move(link)) {}

  void add(const PlannedModule& planned) {
    // Modules may have a source in common, and then setuptools has one name for its objects.
    const Remade first = remade(planned, context_.work / "objects" / planned.name);
    const PlannedModule& module = first.module;
    for (const PlannedSource& source : module.sources) {
      if (source.recorded.language == Language::cuda && compile_->bridge && !bridge_) {
        // One serves all modules: it is compiled with the options of the first CUDA source.
        graph.push_back(bridge_step(as_compiled(source, toolchain_), *compile_));
        bridge_ = graph.size() - 1;
      }
    }
    std::vector<StepId> objects;
    for (Step& compile : compiles_of(module, compile_)) {
      graph.push_back(std::move(compile));
      objects.push_back(graph.size() - 1);
    }
    if (bridge_) objects.push_back(*bridge_);
    const fs::path finished = context_.work / "modules" / module.output;
    Step step = module_step(planned, first.objects, finished, making());
    step.after = std::move(objects);
    graph.push_back(std::move(step));
    modules_[module.output] = finished;
  }

  StepGraph graph;
  LinkedModules take_modules() { return std::move(modules_); }

 private:
  // Objects where no other step writes: each module's, and those made once more with other headers.
  struct Remade {
    PlannedModule module;
    LinkObjects objects;
  };

  static LinkObjects objects_of(const PlannedModule& module) {
    LinkObjects objects;
    for (const PlannedSource& source : module.sources)
      objects[source.recorded.object.lexically_normal()] = source.recorded.object;
    return objects;
  }

  Remade remade(const PlannedModule& module, const fs::path& folder) const {
    Remade again{module, {}};
    for (const auto& [place, object] : objects_of(module)) {
      const auto source = std::ranges::find(again.module.sources, object,
                                            [](const auto& one) { return one.recorded.object; });
      source->recorded.object = folder / std::to_string(again.objects.size()) / object.filename();
      again.objects[place] = source->recorded.object;
    }
    return again;
  }

  StepGraph compiles_of(const PlannedModule& module,
                        const std::shared_ptr<const CompileSettings>& settings) const {
    StepGraph steps;
    for (const PlannedSource& source : module.sources)
      steps.push_back(compile_step(as_compiled(source, toolchain_), module.name, settings));
    return steps;
  }

  ModuleMaking making() const {
    ModuleMaking making;
    making.link = link_;
    if (bridge_) making.bridge = compile_->bridge->object;
    making.bridge_fits = [compile = compile_] { return compile->bridge->fits.load(); };
    making.remake = [this](const PlannedModule& module, Remake remake) {
      auto settings = std::make_shared<CompileSettings>(*compile_);
      if (remake == Remake::full_headers) settings->choice = HeaderChoice::full;
      settings->work = context_.work / fmt::format("compile-{}", name_of(remake));
      const Remade again =
          remade(module, context_.work / fmt::format("objects-{}", name_of(remake)) / module.name);
      return ObjectSteps{compiles_of(again.module, settings), again.objects};
    };
    making.has_full_headers = compile_->choice == HeaderChoice::full;
    return making;
  }

  const Toolchain& toolchain_;
  const CompileContext& context_;
  std::shared_ptr<const CompileSettings> compile_;
  std::shared_ptr<const LinkSettings> link_;
  std::optional<StepId> bridge_;
  LinkedModules modules_;
};

// setuptools puts a virtual environment's own include folder, mostly empty, on every command.
// Without a name for it, each environment would have keys of its own.
fs::path venv_include(const PythonEnv& python) {
  const fs::path home = python.executable.parent_path().parent_path();
  return is_there(home / "pyvenv.cfg") ? home / "include" : fs::path();
}

// What is torch's, Python's, CUDA's, the system's or ours.
std::vector<fs::path> foreign_headers(const CompileSettings& compile, const PythonEnv& python) {
  const Toolchain& toolchain = compile.toolkit->toolchain;
  std::vector<fs::path> folders = {compile.headers, toolchain.cuda_home, python.include};
  std::error_code ignored;
  folders.push_back(fs::weakly_canonical(toolchain.cuda_home, ignored));
  if (python.torch) folders.push_back(python.torch->root / "include");
  std::ranges::copy(toolchain.include_folders, std::back_inserter(folders));
  std::ranges::copy(compile.toolkit->system_includes, std::back_inserter(folders));
  return folders;
}

std::shared_ptr<CompileSettings> compile_settings(const BuildPlan& plan,
                                                  std::shared_ptr<const Toolkit> toolkit,
                                                  const PythonEnv& python,
                                                  const CompileContext& context,
                                                  HeaderChoice headers,
                                                  const ExecSettings& execution, Reporter& report) {
  auto compile = std::make_shared<CompileSettings>();
  compile->toolkit = std::move(toolkit);
  compile->headers = data_folder() / "patches" / "headers";
  compile->work = context.work / "compile";
  const bool has_stand_ins =
      headers == HeaderChoice::automatic ? !plan.proved.empty() : headers != HeaderChoice::full;
  if (has_stand_ins && includes_torch(context.project)) {
    compile->bridge = std::make_shared<TorchBridge>();
    compile->bridge->object = context.work / "bridge" / "torch_bridge.o";
  }
  compile->roots = {{"tree", context.project},
                    {"site", python.site_packages},
                    {"cuda", compile->toolkit->toolchain.cuda_home},
                    {"python", python.include}};
  if (const fs::path include = venv_include(python); !include.empty())
    compile->roots["venv"] = include;
  compile->project = context.name;
  compile->date = source_date_epoch();
  compile->choice = headers;
  if (headers == HeaderChoice::automatic)
    compile->proved = plan.proved;
  else
    compile->proved.everything = true;  // by the user's word
  compile->foreign_headers = foreign_headers(*compile, python);
  compile->keep_temporary = context.keep;
  compile->parts = context.parts;
  compile->prepend_flags = environment_value("NVCC_PREPEND_FLAGS").value_or("");
  compile->append_flags = environment_value("NVCC_APPEND_FLAGS").value_or("");
  compile->cache = execution.cache;
  compile->reporter = &report;
  return compile;
}

std::shared_ptr<LinkSettings> link_settings(const std::shared_ptr<const CompileSettings>& compile,
                                            const PythonEnv& python,
                                            const CompileContext& context) {
  const std::shared_ptr<const Toolkit> toolkit = compile->toolkit;
  const Toolchain& toolchain = toolkit->toolchain;
  auto link = std::make_shared<LinkSettings>();
  link->roots = compile->roots;
  link->roots["build"] = context.work;
  link->work = context.work / "link";
  link->host_compiler = toolchain.host_compiler;
  link->tools = link_tools(toolkit->tools);
  link->library_folders = toolkit->library_folders;
  link->lists_inputs = toolkit->lists_link_inputs;
  link->tools_unchanged = [toolkit, cache = compile->cache] { return toolkit->unchanged(*cache); };
  link->driver_stubs = toolchain.stubs;
  link->provider_files = {real_path_if_any(python.executable)};
  if (python.torch) link->provider_folders.push_back(python.torch->root / "lib");
  for (const char* folder : {"lib64", "lib"})
    link->provider_folders.push_back(toolchain.cuda_home / folder);
  link->cache = compile->cache;
  link->reporter = compile->reporter;
  if (!link->lists_inputs)
    link->reporter->note(
        "modules are linked in every build: this linker does not know --dependency-file, so what "
        "it reads is unknown");
  return link;
}

// What one source adds to the forecast; the memory of its steps goes to `memory`.
SourceForecast forecast_of(CompilePrediction prediction, const CostHistory* history,
                           BuildForecast& all, std::vector<std::uint64_t>& memory) {
  SourceForecast source{.cached = prediction.cached,
                        .mode = describe(prediction.outcome.mode),
                        .reason = prediction.outcome.reason,
                        .parts = prediction.outcome.parts};
  for (Step& step : prediction.steps) {
    const auto known = load_costs(step, history);
    source.cpu_seconds += known ? known->cpu_seconds : step.expected_seconds;
    memory.push_back(step.expected_memory);
  }
  for (const double chain : critical_path(prediction.steps))
    all.wall_seconds = std::max(all.wall_seconds, chain);
  all.cpu_seconds += source.cpu_seconds;
  return source;
}

}  // namespace

BuildForecast predict_modules(const BuildPlan& plan, std::shared_ptr<const Toolkit> toolkit,
                              const PythonEnv& python, const CompileContext& context,
                              HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report) {
  const Toolchain& toolchain = toolkit->toolchain;
  const auto compile = compile_settings(plan, toolkit, python, context, headers, execution, report);
  BuildForecast forecast;
  std::vector<std::uint64_t> memory;
  for (const PlannedModule& module : plan.modules) {
    for (const PlannedSource& source : module.sources) {
      auto prediction = predict_compile(as_compiled(source, toolchain), module.name, *compile);
      forecast.sources.push_back(
          forecast_of(std::move(prediction), execution.history, forecast, memory));
    }
  }
  const std::size_t jobs = std::max(1U, execution.limits.jobs);
  forecast.wall_seconds =
      std::max(forecast.wall_seconds, forecast.cpu_seconds / static_cast<double>(jobs));
  std::ranges::sort(memory, std::ranges::greater{});
  for (std::size_t i = 0; i < std::min(jobs, memory.size()); ++i) forecast.peak_memory += memory[i];
  return forecast;
}

ModuleOutcome compile_modules(const BuildPlan& plan, std::shared_ptr<const Toolkit> toolkit,
                              const PythonEnv& python, const CompileContext& context,
                              HeaderChoice headers, const ExecSettings& execution,
                              Reporter& report) {
  ModuleOutcome outcome;
  const auto compile = compile_settings(plan, toolkit, python, context, headers, execution, report);
  std::mutex mutex;  // sources end on any thread
  compile->on_outcome = [&outcome, &report, &mutex](const CompileOutcome& source) {
    {
      const std::lock_guard lock(mutex);
      outcome.sources.push_back(source);
    }
    // Minutes more, so the user is told why.
    if (!source.reason.empty() && !source.cached)
      report.note(
          fmt::format("{}: {}, because {}", source.label, describe(source.mode), source.reason));
  };

  GraphMaker maker(toolkit->toolchain, context, compile, link_settings(compile, python, context));
  for (const PlannedModule& module : plan.modules) maker.add(module);
  outcome.execution = execute(std::move(maker.graph), execution, report);
  outcome.modules = maker.take_modules();
  outcome.tools = toolkit->tools;
  return outcome;
}

}  // namespace sagebuild
