// The object that answers the facade's questions with the real torch: patches/headers/bridge.

#include <array>

#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/paths.hpp"
#include "source_compile.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

bool is_project_file(const fs::path& path, const CompileSettings& settings) {
  return mapped_path(path.native(), settings.roots).starts_with("/sagebuild/tree");
}

// That of the source: torch's headers ask for one.
std::string standard_option(const PlannedSource& source) {
  const std::string standard = standard_of(source);
  return "-std=" + (standard.empty() ? "c++17" : standard);
}

// Where that source finds torch and CUDA, and the ABI of its strings; nothing of the project.
Words torch_options(const PlannedSource& source, const CompileSettings& settings) {
  Words options;
  for (const fs::path& folder : include_folders(source.recorded.argv, source.recorded.cwd)) {
    const fs::path absolute = folder.lexically_normal();
    if (!is_project_file(absolute, settings))
      options.insert(options.end(), {"-isystem", absolute.string()});
  }
  std::ranges::copy_if(source.recorded.argv, std::back_inserter(options), [](const auto& word) {
    return word.starts_with("-D_GLIBCXX_USE_CXX11_ABI=");
  });
  options.insert(options.end(),
                 {"-isystem", (settings.toolkit->toolchain.cuda_home / "include").string()});
  return options;
}

Words bridge_command(const PlannedSource& source, const CompileSettings& settings) {
  Words argv = {settings.toolkit->toolchain.host_compiler.empty()
                    ? "g++"
                    : settings.toolkit->toolchain.host_compiler.string(),
                standard_option(source),
                "-O2",
                "-fPIC",
                "-w",
                "-frandom-seed=torch_bridge",
                std::string(nvcc::kLessGarbageCollection)};
  for (auto& word : torch_options(source, settings)) argv.push_back(std::move(word));
  return argv;
}

Step compile_bridge(const PlannedSource& source,
                    const std::shared_ptr<const CompileSettings>& settings) {
  const fs::path object = settings->bridge->object;
  const std::string depfile = object.string() + ".d";
  const Words argv = bridge_command(source, *settings);
  Step step{
      .stage = Stage::host_compiler, .subject = "torch bridge", .label = "g++ bridge to torch"};
  step.folder = object.parent_path();
  step.scope = SearchScope{.roots = settings->roots,
                           .include_folders = include_folders(argv, object.parent_path())};
  for (const fs::path& folder : settings->toolkit->system_includes)
    step.scope->include_folders.push_back(folder);
  step.key = [argv, settings] {
    return direct_key("torch bridge", "bridge", settings->toolkit->digest(), argv, "",
                      settings->roots);
  };
  step.command = [argv, settings, object, depfile] {
    Command command{.argv = argv, .cwd = object.parent_path()};
    for (auto& option : macro_prefix_maps(settings->roots))
      command.argv.push_back(std::move(option));
    command.argv.insert(
        command.argv.end(),
        {std::string(nvcc::kHeadersAsFound), "-MD", "-MF", depfile, "-MT", "bridge", "-c",
         (settings->headers / "bridge" / "torch_bridge.cpp").string(), "-o", object});
    command.env["TMPDIR"] = object.parent_path();
    return command;
  };
  step.outputs = {{"object", object}};
  step.check = [settings] {
    if (!settings->toolkit->unchanged(*settings->cache))
      nvcc::refuse("the compiler was replaced meanwhile");
  };
  step.files_read = [depfile] { return depfile_inputs(read_file(depfile)); };
  step.expected_seconds = 6;
  step.expected_memory = 750ULL << 20U;
  return step;
}

}  // namespace

// By their text, since nothing was preprocessed yet.
bool includes_torch(const fs::path& tree) {
  constexpr std::array<std::string_view, 6> kSuffixes = {".cu",  ".cuh", ".h",
                                                         ".hpp", ".hh",  ".inl"};
  for (const fs::path& file : files_below(tree)) {
    const std::string suffix = file.extension().string();
    if (std::ranges::find(kSuffixes, suffix) == kSuffixes.end()) continue;
    const std::string text = read_file_if_exists(file).value_or("");
    for (const std::string_view folder : {"torch/", "ATen/", "c10/"})
      if (text.find(folder) != std::string::npos) return true;
  }
  return false;
}

Step bridge_step(const PlannedSource& source, const CompileSettings& settings) {
  const auto shared = nvcc::with_headers_root(settings);
  Step step{.stage = Stage::bridge, .subject = "torch bridge", .label = "bridge to torch"};
  step.expand = [source, shared](const StepFailure* failure) -> std::optional<StepGraph> {
    if (failure == nullptr) return StepGraph{compile_bridge(source, shared)};
    shared->bridge->fits = false;
    shared->reporter->note(fmt::format(
        "host passes need torch's own headers, since sagebuild's bridge does not compile: {}",
        nvcc::first_complaint(*failure)));
    return StepGraph{
        Step{.stage = Stage::bridge, .subject = "no torch bridge", .label = "no bridge to torch"}};
  };
  step.expected_seconds = 0;
  return step;
}

}  // namespace sagebuild
