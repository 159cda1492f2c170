#include "sagebuild/probe/record_setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "record_cache.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/probe/ninja_file.hpp"
#include "sagebuild/probe/stand_in.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// What the stand-ins wrote down, in the order of time, which their names tell.
std::vector<Json> read_records(const fs::path& folder) {
  std::vector<Json> records;
  for (const fs::path& file : entries_of(folder)) records.push_back(Json::parse(read_file(file)));
  return records;
}

// torch without ninja runs CUDA_HOME/bin/nvcc, one process per source, so a toolkit with our nvcc
// in it is put there: links to all of the real one's entries but that. Only where setup.py or a
// module beside it speaks of it, for such a CUDA_HOME is not quite the user's: what setup.py writes
// about it into the wheel would differ.
bool may_compile_without_ninja(const fs::path& project) {
  for (const fs::path& file : entries_if_readable(project)) {
    if (file.extension() != ".py" || !is_file(file)) continue;
    if (read_file_if_exists(file).value_or("").find("use_ninja") != std::string::npos) return true;
  }
  return false;
}

void link_entries(const fs::path& from, const fs::path& to, const std::string& all_but) {
  make_folders(to);
  for (const fs::path& entry : entries_if_readable(from)) {
    if (entry.filename() != all_but) make_link(to / entry.filename(), entry);
  }
}

void make_cuda_stand_in(const fs::path& folder, const Toolchain& toolchain) {
  link_entries(toolchain.cuda_home, folder, "bin");
  link_entries(toolchain.cuda_home / "bin", folder / "bin", "nvcc");
  make_link(folder / "bin" / "nvcc", running_binary());
}

bool is_of(const Json& record, std::string_view what) {
  return record.at("what").get<std::string>() == what;
}

Command setup_command(const RecordSettings& settings, const PythonEnv& python,
                      const Toolchain& toolchain) {
  const fs::path bin = settings.work / "bin";
  make_folders(bin);
  make_folders(settings.work / "records");
  make_folders(settings.work / "tmp");
  for (const char* name : {"ninja", "g++"}) make_link(bin / name, running_binary());

  Command command{.argv = {python.executable.string(), "setup.py", "bdist_wheel", "--dist-dir",
                           (settings.work / "wheel").string()},
                  .cwd = settings.project};
  for (const auto& [name, value] : settings.variables) command.env.insert_or_assign(name, value);
  const std::string path = command.env["PATH"];
  command.env["PATH"] =
      fmt::format("{}:{}:{}:{}", bin.string(), python.executable.parent_path().string(),
                  toolchain.nvcc.parent_path().string(), path);
  command.env["CUDA_HOME"] = toolchain.cuda_home.string();
  if (may_compile_without_ninja(settings.project)) {
    make_cuda_stand_in(cuda_stand_in(settings), toolchain);
    command.env["CUDA_HOME"] = cuda_stand_in(settings).string();
    command.env[kRealNvccVariable] = toolchain.nvcc.string();
  }
  command.env["CC"] = command.env["CXX"] = (bin / "g++").string();
  command.env[kRecordVariable] = (settings.work / "records").string();
  command.env[kRealCompilerVariable] = toolchain.host_compiler.string();
  command.env["TORCH_CUDA_ARCH_LIST"] = settings.archs;
  command.env["TORCH_EXTENSION_SKIP_NVCC_GEN_DEPENDENCIES"] = "1";
  command.env["MAX_JOBS"] = "1";
  // What an interrupted setup.py leaves there goes with the folder
  command.env["TMPDIR"] = settings.work / "tmp";
  command.log = settings.log.empty() ? settings.work / "setup.log" : settings.log;
  make_folders(command.log.parent_path());
  return command;
}

Language language_of(const fs::path& source) {
  if (source.extension() == ".cu") return Language::cuda;
  return source.extension() == ".c" ? Language::c : Language::cxx;
}

// Undoes the stand-ins' names wherever they got into a command: as the program, as nvcc's -ccbin,
// in -I and -L.
void use_real_compiler(std::vector<std::string>& argv, const RecordSettings& settings,
                       const Toolchain& toolchain) {
  const std::string stand_in = (settings.work / "bin" / "g++").string();
  const std::string cuda = cuda_stand_in(settings).string();
  for (std::string& word : argv) {
    word = replaced(std::move(word), stand_in, toolchain.host_compiler.string());
    word = replaced(std::move(word), cuda, toolchain.cuda_home.string());
  }
}

// torch writes --compiler-options "'-fPIC'": nvcc hands the value to a shell, which takes the
// quotes away.
std::string without_quotes(const std::string& word) {
  const bool quoted = word.size() > 2 && word.front() == '\'' && word.back() == '\'' &&
                      word.find('\'', 1) == word.size() - 1;
  return quoted ? word.substr(1, word.size() - 2) : word;
}

// Takes -c, -o, the source and what writes dependency files out of a compile command.
std::vector<std::string> bare_compile(const std::vector<std::string>& argv,
                                      const std::string& source) {
  static const std::set<std::string, std::less<>> kAlone = {"-c", "-MMD", "-MD", "-MP",
                                                            "--generate-dependencies-with-compile"};
  static const std::set<std::string, std::less<>> kWithValue = {"-o", "-MF", "-MT", "-MQ",
                                                                "--dependency-output"};
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < argv.size(); ++i) {
    if (kWithValue.contains(argv[i]))
      ++i;
    else if (!kAlone.contains(argv[i]) && argv[i] != source)
      kept.push_back(without_quotes(argv[i]));
  }
  return kept;
}

// setuptools names an object by its source without the suffix, and ninja refuses two rules for one
// file.
[[noreturn]] void refuse_common_object(const RecordedSource& one, const fs::path& other,
                                       const RecordSettings& settings) {
  const auto shown = [&](const fs::path& path) {
    const fs::path relative = path.lexically_relative(settings.project);
    return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
  };
  throw Error(ErrorKind::failed,
              one.source == other
                  ? fmt::format("one extension has '{}' twice", shown(other))
                  : fmt::format("'{}' and '{}' of one extension are compiled to one object file",
                                shown(one.source), shown(other)),
              {fmt::format("setuptools names both '{}', and ninja refuses that",
                           one.object.filename().string())},
              one.source == other ? "list it once in the extension's sources"
                                  : "give one of them another name");
}

using SourcesByObject = std::map<fs::path, RecordedSource>;

RecordedSource recorded_source(const fs::path& cwd, const std::string& source,
                               const std::string& object, const std::vector<std::string>& argv,
                               const RecordSettings& settings, const Toolchain& toolchain) {
  RecordedSource recorded;
  recorded.source = (cwd / source).lexically_normal();
  recorded.object = (cwd / object).lexically_normal();
  recorded.language = language_of(recorded.source);
  recorded.cwd = cwd;
  recorded.argv = bare_compile(argv, source);
  use_real_compiler(recorded.argv, settings, toolchain);
  return recorded;
}

// What one run of ninja would compile.
SourcesByObject read_sources(const Json& record, const RecordSettings& settings,
                             const Toolchain& toolchain) {
  SourcesByObject by_object;
  const fs::path cwd = record.at("cwd").get<std::string>();
  for (const NinjaBuild& build :
       parse_ninja(record.at("text").get<std::string>(), (cwd / "build.ninja").string())) {
    // Torch's device link of -rdc code
    if (build.inputs.size() != 1 || build.outputs.size() != 1) continue;
    // torch 2.13 puts ccache or sccache in front of the compilers where it finds one, and
    // PYTORCH_NVCC may do so for any torch.
    const auto argv = without_launcher(shell_words(build.command));
    const RecordedSource source = recorded_source(cwd, build.inputs.front(), build.outputs.front(),
                                                  argv, settings, toolchain);
    const auto [entry, is_first] = by_object.try_emplace(source.object, source);
    if (!is_first) refuse_common_object(entry->second, source.source, settings);
  }
  return by_object;
}

bool is_source(const std::string& word) {
  static const std::set<std::string, std::less<>> kExtensions = {".cu",  ".cpp", ".cc",
                                                                 ".cxx", ".c",   ".C"};
  return !word.starts_with('-') && kExtensions.contains(fs::path(word).extension().native());
}

// A compile that did not go through ninja; nothing if it is of no source.
std::optional<RecordedSource> read_direct_source(const Json& record, const RecordSettings& settings,
                                                 const Toolchain& toolchain) {
  const fs::path cwd = record.at("cwd").get<std::string>();
  const auto argv = record.at("argv").get<std::vector<std::string>>();
  const auto output = std::ranges::find(argv, "-o");
  const auto word = std::ranges::find_if(argv, is_source);
  if (output == argv.end() || output + 1 == argv.end() || word == argv.end()) return std::nullopt;
  RecordedSource source = recorded_source(cwd, *word, *(output + 1), argv, settings, toolchain);
  // The stand-in was called by its name in CC or CUDA_HOME; the real one has a place of its own.
  const bool is_nvcc = fs::path(argv.front()).filename() == "nvcc";
  source.argv.front() = is_nvcc ? toolchain.nvcc.string() : toolchain.host_compiler.string();
  return source;
}

// "build/lib.linux-x86_64-cpython-311/pkg/_x.cpython-311-x86_64-linux-gnu.so" is "pkg/_x....so" in
// the wheel.
fs::path path_in_wheel(const fs::path& output, const fs::path& project) {
  const fs::path relative = output.lexically_relative(project);
  auto part = relative.begin();
  fs::path result;
  int index = 0;
  for (; part != relative.end(); ++part, ++index) {
    const bool build_folder =
        (index == 0 && *part == "build") || (index == 1 && part->string().starts_with("lib"));
    if (!build_folder) result /= *part;
  }
  return result;
}

std::string module_name(const fs::path& in_wheel) {
  const std::string file = in_wheel.filename();
  std::string name = replaced(in_wheel.parent_path().string(), "/", ".");
  return (name.empty() ? "" : name + ".") + file.substr(0, file.find('.'));
}

// What was compiled so far, and which of it no link has taken yet.
struct Compiled {
  SourcesByObject sources;
  std::set<fs::path> unlinked;

  // Extensions share the folder for objects: where two have a source in common, each has its own
  // command for it, and the first one's link comes before the second one's compile. Where they are
  // built at the same time nobody can tell whose object a link gets.
  void add(RecordedSource source) {
    const fs::path object = source.object;
    if (!unlinked.insert(object).second && sources.at(object).argv != source.argv) {
      throw Error(ErrorKind::failed,
                  fmt::format("two extensions compile '{}' into one object file at the same time",
                              source.source.filename().string()),
                  {fmt::format("'{}' is written twice before it is linked", object.string())},
                  "build the extensions one after another, or give each a copy of the source");
    }
    sources.insert_or_assign(object, std::move(source));
  }
};

RecordedModule read_link(const Json& record, Compiled& compiled, const RecordSettings& settings,
                         const Toolchain& toolchain) {
  RecordedModule module;
  module.link_cwd = record.at("cwd").get<std::string>();
  module.link = record.at("argv").get<std::vector<std::string>>();
  use_real_compiler(module.link, settings, toolchain);
  module.link.front() = toolchain.host_compiler.string();
  const auto output = std::ranges::find(module.link, "-o") + 1;
  module.output = path_in_wheel((module.link_cwd / *output).lexically_normal(), settings.project);
  module.name = module_name(module.output);
  std::set<fs::path> taken;
  for (const std::string& word : module.link) {
    const fs::path object = (module.link_cwd / word).lexically_normal();
    const auto found = compiled.sources.find(object);
    if (found == compiled.sources.end() || !taken.insert(object).second) continue;
    module.sources.push_back(found->second);
    compiled.unlinked.erase(object);
  }
  return module;
}

std::vector<RecordedModule> read_modules(const std::vector<Json>& records,
                                         const RecordSettings& settings,
                                         const Toolchain& toolchain) {
  std::vector<RecordedModule> modules;
  Compiled compiled;
  for (const Json& record : records) {
    if (is_of(record, "ninja")) {
      for (auto& [object, source] : read_sources(record, settings, toolchain))
        compiled.add(std::move(source));
    }
    if (is_of(record, "compile")) {
      auto source = read_direct_source(record, settings, toolchain);
      if (!source) continue;
      if (record.at("done").get<bool>())  // it may have been a probe
        compiled.sources.insert_or_assign(source->object, *source);
      else
        compiled.add(*std::move(source));
    }
    if (is_of(record, "link")) modules.push_back(read_link(record, compiled, settings, toolchain));
  }
  if (!compiled.unlinked.empty()) {
    const RecordedSource& source = compiled.sources.at(*compiled.unlinked.begin());
    throw Error(ErrorKind::failed,
                fmt::format("setup.py compiles '{}' but links it into nothing that sagebuild saw",
                            source.source.string()));
  }
  std::ranges::sort(modules, {}, &RecordedModule::name);
  return modules;
}

fs::path only_wheel(const fs::path& folder) {
  std::vector<fs::path> wheels;
  for (const fs::path& path : entries_if_readable(folder)) {
    if (path.extension() == ".whl") wheels.push_back(path);
  }
  if (wheels.size() != 1)
    throw Error(ErrorKind::failed,
                fmt::format("setup.py made {} wheels instead of one", wheels.size()));
  return wheels.front();
}

void require_setup_py(const fs::path& project) {
  if (is_file(project / "setup.py")) return;
  throw Error(ErrorKind::failed, fmt::format("there is no setup.py in '{}'", project.string()), {},
              "sagebuild builds packages that use setuptools with torch's CUDAExtension");
}

ProcessResult run_setup(const Command& command, const std::function<void()>& meanwhile,
                        Reporter& report) {
  ProcessResult result = run(command, meanwhile);
  // Wall seconds would count what was done meanwhile.
  report.detail(fmt::format("setup.py took {} of CPU time: {}", human_time(result.cpu_seconds),
                            shell_line(command.argv)));
  if (result.ok()) return result;
  std::vector<std::string> causes = {result.status_text()};
  const auto lines = lines_of(result.diagnostics);
  constexpr std::size_t kLast = 15;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // What a stand-in of ours said stands above torch's traceback.
    const bool is_ours = lines[i].starts_with("error: ") || lines[i].starts_with("  caused by: ");
    if (i + kLast >= lines.size() || is_ours) causes.emplace_back(lines[i]);
  }
  throw Error(ErrorKind::failed, "setup.py of the project failed while its build was recorded",
              std::move(causes),
              "does `python setup.py --version` work in that folder? --keep-temp keeps it",
              command.log.string());
}

}  // namespace

RecordedBuild record_setup(const RecordSettings& settings, const PythonEnv& python,
                           const Toolchain& toolchain, Reporter& report) {
  require_setup_py(settings.project);
  const Command command = setup_command(settings, python, toolchain);
  std::optional<RecordCache> cache;
  std::optional<ProcessResult> ran;
  ActionCache::Clock::time_point started;
  if (settings.cache != nullptr)
    cache.emplace(settings, command, python, toolchain, *settings.cache);
  if (cache && cache->restore()) {
    report.detail("setup.py was recorded before with the same inputs");
  } else {
    started = ActionCache::Clock::now();
    ran = run_setup(cache ? cache->listening(command) : with_hook(command), settings.meanwhile,
                    report);
  }
  const std::vector<Json> records = read_records(settings.work / "records");
  RecordedBuild build;
  build.wheel = only_wheel(settings.work / "wheel");
  build.modules = read_modules(records, settings, toolchain);
  const bool links_unknown = std::ranges::any_of(
      build.modules, [](const RecordedModule& module) { return module.sources.empty(); });
  if (links_unknown) {
    const auto compile =
        std::ranges::find_if(records, [](const Json& record) { return is_of(record, "compile"); });
    const std::string seen = compile == records.end()
                                 ? "no compile command at all"
                                 : shell_line(compile->at("argv").get<std::vector<std::string>>());
    throw Error(ErrorKind::failed, "setup.py compiles in a way that sagebuild does not understand",
                {fmt::format("seen: {}", seen)},
                "torch must compile the modules, through ninja or without, and no build step of "
                "the project's own");
  }
  if (cache) build.variables = cache->variables();
  if (cache && ran) cache->keep(*ran, started, report);
  return build;
}

}  // namespace sagebuild
