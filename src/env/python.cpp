#include "sagebuild/env/python.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "env/kept.hpp"
#include "env/packages.hpp"
#include "env/torch_cuda.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/report/silent_reporter.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Prints one line of JSON. Not `python -I`: that hides the user's own site-packages, which setup.py
// will see; the current folder, which `-c` puts first, is taken out instead. torch's own CMake file
// says which C++ ABI it was built with.
constexpr const char* kProbeScript = R"py(
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.util, json, os, re, runpy, sysconfig
try:
    from importlib import metadata
except ImportError:
    metadata = None

def version(name):
    try:
        return metadata.version(name) or ""
    except Exception:
        return ""

def torch():
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    root = os.path.dirname(spec.origin)
    try:
        said = runpy.run_path(os.path.join(root, "version.py"))
    except Exception:
        return None
    abi = None
    try:
        with open(os.path.join(root, "share", "cmake", "Torch", "TorchConfig.cmake")) as file:
            flag = re.search(r"_GLIBCXX_USE_CXX11_ABI=([01])", file.read())
            abi = flag and flag.group(1) == "1"
    except OSError:
        pass
    return {"version": str(said["__version__"]), "cuda": said.get("cuda") or "", "root": root, "abi": abi}

include = sysconfig.get_path("include") or ""
print(json.dumps({
    "implementation": sys.implementation.name,
    "executable": sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "tag": "cp%d%d%s" % (sys.version_info[0], sys.version_info[1],
                         "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "include": include,
    "headers": os.path.exists(os.path.join(include, "Python.h")),
    "site_packages": sysconfig.get_path("purelib") or "",
    "torch": torch(),
    "packages": {name: version(name) for name in ("setuptools", "wheel", "ninja", "packaging")},
}))
)py";

constexpr const char* kAbiScript =
    "import sys; sys.path[:] = [p for p in sys.path if p]; import torch; "
    "print(int(torch._C._GLIBCXX_USE_CXX11_ABI))";
constexpr auto kProbeLimit = std::chrono::seconds(60);  // a cold network home takes its time

fs::path resolve_interpreter(const fs::path& given) {
  if (is_folder(given)) {
    if (path_exists(environment_python(given))) return environment_python(given);
    throw Error(ErrorKind::environment,
                fmt::format("'{}' is a folder without bin/python", given.string()), {},
                "give --python an interpreter or the folder of a virtual environment");
  }
  if (given.string().find('/') != std::string::npos) {
    if (path_exists(given)) return absolute_path(given);
  } else if (const auto found = find_program(given.string())) {
    return *found;
  }
  throw Error(
      ErrorKind::environment, fmt::format("there is no Python at '{}'", given.string()), {},
      "give --python the path of an interpreter, such as .venv/bin/python, or leave it out");
}

ProcessResult run_python(const fs::path& python, const char* script) {
  Command command;
  command.argv = {python.string(), "-c", script};
  command.deadline = kProbeLimit;
  return run(command);
}

// A build from before torch 2.7 whose CMake file does not name the ABI must be asked itself.
bool imported_abi(const fs::path& python, const std::string& torch) {
  const ProcessResult result = run_python(python, kAbiScript);
  if (result.ok()) return trimmed(result.output) == "1";
  throw Error(ErrorKind::environment,
              fmt::format("torch {} in '{}' cannot be imported", torch, python.string()),
              last_lines(result.diagnostics, 3), "reinstall torch in that environment");
}

TorchInfo torch_from(const nlohmann::json& said, const fs::path& python) {
  TorchInfo torch;
  torch.version = said.at("version").get<std::string>();
  torch.number = parse_version(torch.version).value_or(Version());
  torch.cuda = parse_version(said.at("cuda").get<std::string>()).value_or(Version());
  torch.root = said.at("root").get<std::string>();
  const auto& abi = said.at("abi");
  if (!abi.is_null()) {
    torch.cxx11_abi = abi.get<bool>();
  } else {
    torch.cxx11_abi = torch.number >= Version{2, 7} || imported_abi(python, torch.version);
  }
  return torch;
}

PythonEnv python_from(const nlohmann::json& said, const fs::path& asked) {
  if (said.at("implementation") != "cpython") {
    throw Error(ErrorKind::environment,
                fmt::format("'{}' is {}, not CPython", asked.string(),
                            said.at("implementation").get<std::string>()),
                {}, "give --python a CPython interpreter: torch has no wheels for others");
  }
  PythonEnv python;
  python.executable = said.at("executable").get<std::string>();
  python.version = said.at("version").get<std::string>();
  python.tag = said.at("tag").get<std::string>();
  python.soabi = said.at("soabi").get<std::string>();
  python.include = said.at("include").get<std::string>();
  python.has_headers = said.at("headers").get<bool>();
  python.site_packages = said.at("site_packages").get<std::string>();
  const auto& packages = said.at("packages");
  python.setuptools = packages.at("setuptools").get<std::string>();
  python.wheel = packages.at("wheel").get<std::string>();
  python.ninja = packages.at("ninja").get<std::string>();
  python.packaging = packages.at("packaging").get<std::string>();
  if (!said.at("torch").is_null()) python.torch = torch_from(said.at("torch"), python.executable);
  return python;
}

}  // namespace

PythonEnv probe_python(const fs::path& executable) {
  const fs::path path = resolve_interpreter(executable);
  const ProcessResult result = run_python(path, kProbeScript);
  if (!result.ok()) {
    throw Error(ErrorKind::environment,
                fmt::format("'{}' does not work as a Python interpreter: {}", path.string(),
                            result.status_text()),
                last_lines(result.diagnostics, 3),
                "give --python the path of a working interpreter");
  }
  // A sitecustomize of the user may print first, so ours is the last line.
  const auto lines = lines_of(result.output);
  try {
    return python_from(nlohmann::json::parse(lines.empty() ? std::string_view() : lines.back()),
                       path);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::environment,
                fmt::format("'{}' does not answer as a Python interpreter", path.string()),
                last_lines(result.output, 3), "give --python the path of a working interpreter");
  }
}

std::vector<MissingPart> missing_for_build(const PythonEnv& python, const System& system) {
  std::vector<MissingPart> missing;
  const std::string where = python.executable.string();
  // An environment that uv made has no pip of its own.
  const std::string pip = install_into(system, where, is_there(python.site_packages / "pip"));
  if (!python.has_headers) {
    const Version version = parse_version(python.version).value_or(Version());
    missing.push_back({PythonPart::headers,
                       fmt::format("Python {} at '{}' has no headers ('{}')", python.version, where,
                                   (python.include / "Python.h").string()),
                       install_python_headers(system, version.major_minor())});
  }
  if (!python.torch) {
    missing.push_back({PythonPart::torch, fmt::format("torch is not installed in '{}'", where),
                       fmt::format("{}torch=={}", pip, kDefaultTorch)});
  } else if (python.torch->cuda.empty()) {
    // Not the same version again: an older one may be built with a CUDA whose compiler nobody
    // packages.
    missing.push_back(
        {PythonPart::torch,
         fmt::format("torch {} in '{}' is built without CUDA", python.torch->version, where),
         fmt::format("{}--force-reinstall torch=={}", pip, kDefaultTorch)});
  }
  if (python.setuptools.empty()) {
    missing.push_back({PythonPart::setuptools,
                       fmt::format("setuptools is not installed in '{}'", where),
                       pip + "'setuptools<82'"});
  }
  // setuptools 70.1 took bdist_wheel over from wheel; before that setup.py bdist_wheel needs the
  // package.
  const bool has_bdist_wheel =
      parse_version(python.setuptools).value_or(Version()) >= Version{70, 1};
  if (python.wheel.empty() && !has_bdist_wheel) {
    missing.push_back(
        {PythonPart::wheel, fmt::format("wheel is not installed in '{}'", where), pip + "wheel"});
  }
  return missing;
}

void require_python_can_build(const PythonEnv& python) {
  const auto missing = missing_for_build(python);
  if (missing.empty()) return;
  std::vector<std::string> causes, fixes;
  for (const auto& part : missing) {
    causes.push_back(part.what);
    fixes.push_back(part.fix);
  }
  const std::string hint =
      fmt::format("{}, or leave --python out and deactivate: sagebuild then makes an environment",
                  fmt::join(fixes, " && "));
  if (missing.size() == 1) throw Error(ErrorKind::environment, causes.front(), {}, hint);
  throw Error(ErrorKind::environment,
              fmt::format("'{}' cannot build CUDA extensions", python.executable.string()), causes,
              hint);
}

std::optional<FoundPython> existing_python(const PythonChoice& choice, Reporter& report) {
  if (choice.path) {
    FoundPython found{probe_python(*choice.path), "--python"};
    const std::string misfit = misfit_of(choice, found.python);
    if (misfit.empty()) return found;
    const std::string index = index_option_for(request_for(choice));
    throw Error(ErrorKind::environment,
                fmt::format("'{}' {}", found.python.executable.string(), misfit), {},
                fmt::format("leave --python out{} and sagebuild makes an environment that fits",
                            index.empty() ? "" : ", give " + index));
  }
  if (const auto active = environment_value("VIRTUAL_ENV")) {
    FoundPython found{probe_python(*active), "VIRTUAL_ENV"};
    const std::string misfit = misfit_of(choice, found.python);
    if (misfit.empty()) return found;
    report.note(fmt::format("passing over the active environment '{}': it {}", *active, misfit));
  }
  return fitting_environment(choice);
}

EnvironmentRequest request_for(const PythonChoice& choice) {
  EnvironmentRequest request;
  request.python = choice.python;
  if (!choice.torch.empty()) request.torch = choice.torch;
  request.cuda = choice.cuda;
  request.index_url = choice.index_url;
  request.offline = choice.offline;
  return request;
}

ForeseenPython predict_python(const PythonChoice& choice, Reporter& report) {
  if (auto found = existing_python(choice, report)) {
    report.detail(
        fmt::format("Python {} from {}", found->python.executable.string(), found->origin));
    require_python_can_build(found->python);
    return {std::move(found->python), false};
  }
  const EnvironmentRequest request = request_for(choice);
  PythonEnv python = predict_environment(request);
  require_disk_for(request);
  if (choice.create) return {std::move(python), true};
  throw Error(ErrorKind::environment,
              fmt::format("there is no build environment with torch {} yet", request.torch),
              {environment_cost(request)},
              "pass --create-env (or --yes) to have it made, or name an interpreter with --python");
}

PythonEnv find_python(const PythonChoice& choice, Reporter& report,
                      const ForeseenPython& predicted) {
  if (!predicted.to_be_made) return predicted.python;
  PythonEnv made = create_environment(request_for(choice), report);
  require_python_can_build(made);
  return made;
}

}  // namespace sagebuild
