#include "sagebuild/app/import_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sagebuild/app/wheel_python.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/link/stubs.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLongest{300};

enum class Way { none, module, library };

// A module of Python, or a library that registers functions with torch. Others are loaded as what
// these need.
Way way_of(const ModuleFacts& module) {
  if (!module.is_linked) return Way::none;
  if (std::ranges::find(module.init_functions, "PyInit_" + stem_of(module)) !=
      module.init_functions.end())
    return Way::module;
  return registers_with_torch(module) ? Way::library : Way::none;
}

bool needs_driver(const ModuleFacts& module) {
  return std::ranges::any_of(module.needed,
                             [](const auto& name) { return name.starts_with("libcuda.so"); });
}

class Importer {
 public:
  Importer(const fs::path& file, const WheelFacts& facts, PythonEnv python)
      : file_(file), facts_(facts), python_(std::move(python)) {
    if (!facts_.is_wheel) return;
    unpack_wheel(file_, folder_.path(), [](const std::string& name) {
      return name.find(".so") != std::string::npos ? name : "";
    });
  }

  // Why it cannot be loaded: the code of a finding, and the words. Nothing: it can.
  std::optional<std::pair<std::string, std::string>> failure_of(const ModuleFacts& module, Way way,
                                                                bool wants_torch) {
    const fs::path path = absolute_path(facts_.is_wheel ? folder_.path() / module.path : file_);
    Command command;
    command.argv = {python_.executable.string(),
                    "-B",
                    (data_folder() / "patches" / "verify" / "import_module.py").string(),
                    wants_torch ? "torch" : "plain",
                    way == Way::module ? "module" : "library",
                    path.string(),
                    stem_of(module)};
    std::vector<std::string> folders = folders_of_libraries();
    if (needs_driver(module))
      folders.push_back((driver().empty() ? stub_for(module) : driver()).string());
    command.env["LD_LIBRARY_PATH"] = join(folders, ":");
    command.env["LD_BIND_NOW"] = "1";
    command.deadline = kLongest;
    const ProcessResult result = run(command);
    if (result.signal != 0 || result.timed_out)
      return std::pair("SB138", "its import: " + result.status_text());
    const auto said = nlohmann::json::parse(result.output, nullptr, /*allow_exceptions=*/false);
    if (!said.is_object())
      return std::pair("SB138", fmt::format("its import ends Python ({})", result.status_text()));
    if (said.contains("torch"))
      throw Error(ErrorKind::environment,
                  fmt::format("'{}' cannot import torch", python_.executable.string()),
                  {said.value("torch", "")}, "name another Python: --python");
    if (!said.contains("module")) return std::nullopt;
    return std::pair("SB137",
                     replaced(said.value("module", ""), path.string(), path.filename().string()));
  }

 private:
  // Those of the wheel that another of its modules asks for: some packages load them first, by
  // their path.
  std::vector<std::string> folders_of_libraries() const {
    std::vector<std::string> folders;
    for (const ModuleFacts& library : facts_.modules) {
      const fs::path path = folder_.path() / library.path;
      const bool is_wanted = std::ranges::any_of(facts_.modules, [&](const ModuleFacts& module) {
        return std::ranges::find(module.needed, path.filename().string()) != module.needed.end();
      });
      const std::string folder = path.parent_path().string();
      if (is_wanted && std::ranges::find(folders, folder) == folders.end())
        folders.push_back(folder);
    }
    return folders;
  }

  // A folder with the driver alone, wherever it is: what else lies beside it may hide that a
  // library is missing. Empty: there is no driver.
  const fs::path& driver() {
    if (driver_) return *driver_;
    Command command;
    command.argv = {python_.executable.string(), "-I", "-c",
                    "import ctypes\n"
                    "ctypes.CDLL('libcuda.so.1')\n"
                    "print(next(line.split(None, 5)[5] for line in open('/proc/self/maps') "
                    "if 'libcuda.so' in line), end='')"};
    const ProcessResult result = run(command);
    driver_ = fs::path();
    if (!result.ok()) return *driver_;
    const fs::path folder = stubs_.path() / "driver";
    make_folders(folder);
    std::error_code error;
    fs::create_symlink(trimmed(result.output), folder / "libcuda.so.1", error);
    if (error)
      throw Error(ErrorKind::failed, fmt::format("cannot make a link in '{}'", folder.string()),
                  {error.message()}, "TMPDIR names a folder that can be written");
    driver_ = folder;
    return *driver_;
  }

  fs::path stub_for(const ModuleFacts& module) {
    const auto compiler = find_program("g++");
    if (!compiler)
      throw Error(ErrorKind::environment,
                  fmt::format("{} needs a GPU's driver, and there is neither one nor g++ to make "
                              "a stand-in",
                              module.path),
                  {}, "apt-get install g++");
    return libcuda_stub(module.driver_symbols, stubs_.path() / stem_of(module), *compiler);
  }

  fs::path file_;
  const WheelFacts& facts_;
  PythonEnv python_;
  TempDir folder_, stubs_;
  std::optional<fs::path> driver_;
};

}  // namespace

std::vector<Finding> import_findings(const fs::path& file, const WheelFacts& facts,
                                     const Promise& promise, Policy policy, PythonChoice choice,
                                     Reporter& report) {
  std::vector<Finding> found;
  std::vector<std::pair<const ModuleFacts*, Way>> modules;
  bool wants_torch = false;
  for (const ModuleFacts& module : facts.modules) {
    if (const Way way = way_of(module); way != Way::none) modules.emplace_back(&module, way);
    wants_torch |= !module.torch_symbols.empty() || !module.shim_symbols.empty();
  }
  if (!facts.faults.archive.empty()) {
    report.warning("the archive is not sound: nothing in it is imported");
    return found;
  }
  if (modules.empty()) {
    report.note("there is no extension module to import");
    return found;
  }
  const PythonEnv python = python_for(facts, promise, wants_torch, std::move(choice), report);
  const auto held = hold_environment(python);
  Importer importer(file, facts, python);
  for (const auto& [module, way] : modules) {
    const auto failure = importer.failure_of(*module, way, wants_torch);
    if (!failure) continue;
    FindingKind kind = *finding_kind(failure->first);
    // Of libraries some wheels carry several, and take the one that loads.
    if (way == Way::library) kind.severity = Severity::warning;
    found.push_back({kind.code, severity_of(kind, policy), module->path, failure->second});
  }
  report.note(fmt::format("{} imported with Python {}{}", counted(modules.size(), "module"),
                          python.version,
                          wants_torch && python.torch ? ", torch " + python.torch->version : ""));
  return found;
}

}  // namespace sagebuild
