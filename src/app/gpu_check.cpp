#include "sagebuild/app/gpu_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "sagebuild/app/wheel_python.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/model/gpu_coverage.hpp"
#include "sagebuild/sys/driver.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/log.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"
#include "sagebuild/verify/verdict.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::chrono::seconds kLongest{300};
constexpr std::array<std::string_view, 6> kCompilerNames = {
    "CC", "CXX", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"};
constexpr std::array<std::string_view, 5> kGpuPrefixes = {"CUDA_", "NVIDIA_", "PYTORCH_", "TORCH_",
                                                          "TRITON_"};

// What chooses the GPU and its libraries, and what torch and Triton are told: Triton compiles C.
Environment settings_of_gpu() {
  Environment settings;
  for (const auto& [name, value] : current_environment()) {
    const bool is_key = name.find("TOKEN") != name.npos || name.find("KEY") != name.npos;
    const bool is_theirs =
        std::ranges::any_of(kGpuPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
    if (std::ranges::find(kCompilerNames, name) != kCompilerNames.end() || (is_theirs && !is_key))
      settings.emplace(name, value);
  }
  return settings;
}

// Why nothing of the wheel runs there; empty: something may.
std::string reason_of_verdict(const WheelFacts& facts, const Promise& promise, Arch gpu) {
  const auto all = verdicts(facts, promise);
  const auto found = std::ranges::find_if(
      all, [&](const GpuVerdict& one) { return same_capability(one.gpu, gpu); });
  if (found == all.end() || found->word != "no") return "";
  return fmt::format("the wheel does not serve {}: {}", described_gpu(gpu), found->reason);
}

// Why it is not called on this GPU; empty: it is.
std::string reason_to_leave_out(const GpuCheck& check, const WheelFacts& facts, Arch gpu) {
  const bool is_for_gpu = std::ranges::any_of(
      check.archs, [&](const ArchRequest& request) { return same_capability(request.arch, gpu); });
  if (!is_for_gpu) return fmt::format("it is not for {}", described_gpu(gpu));
  const auto version = facts.name ? parse_version(facts.name->version) : std::nullopt;
  if (check.since && version && *version < *check.since)
    return fmt::format("the project has it since {}", check.since->text());
  const bool is_there =
      check.module.empty() || std::ranges::any_of(facts.modules, [&](const ModuleFacts& module) {
        return stem_of(module) == check.module;
      });
  return is_there ? "" : fmt::format("the wheel has no {}", check.module);
}

// What Python says at last.
std::vector<std::string> tail_of(const std::string& text) {
  const auto lines = lines_of(text);
  if (lines.empty()) return {};
  return {std::string(lines.back())};
}

class Script {
 public:
  explicit Script(const PythonEnv& python) : python_(python) {}

  ProcessResult answer(const json& question) const {
    Command command;
    // Not -I, which hides the user's own site-packages: python_for saw them.
    command.argv = {python_.executable.string(), "-B",
                    (data_folder() / "patches" / "verify" / "gpu_check.py").string(),
                    question.dump()};
    command.env.merge(settings_of_gpu());
    // Kernels that Triton makes are made once for all functions, and go away with the rest.
    command.env["TRITON_CACHE_DIR"] = (folder_.path() / "triton").string();
    command.deadline = kLongest;
    return run(command);
  }

  GpuDevice device() const {
    const ProcessResult result = answer({{"do", "device"}, {"device", "cuda"}});
    if (auto device = read_device(result.output)) return std::move(*device);
    throw Error(ErrorKind::environment,
                fmt::format("'{}' cannot ask torch for the GPU ({})", python_.executable.string(),
                            result.status_text()),
                tail_of(result.diagnostics), "name another Python: --python");
  }

  CheckedFunction check(const GpuCheck& check, const fs::path& wheel) const {
    json arguments = json::object();
    for (const auto& [name, value] : check.arguments)
      std::visit([&](const auto& plain) { arguments[name] = plain; }, value);
    const ProcessResult result = answer({{"do", "check"},
                                         {"device", "cuda"},
                                         {"folder", wheel.string()},
                                         {"function", check.function},
                                         {"arguments", arguments},
                                         {"layouts", check.layouts},
                                         {"dtypes", check.dtypes},
                                         {"causal", check.causal},
                                         {"grouped", check.grouped}});
    return read_check(check, result.output, result.status_text());
  }

 private:
  const PythonEnv& python_;
  TempDir folder_;
};

}  // namespace

void require_gpu() {
  if (const auto reason = why_no_gpu())
    throw Error(ErrorKind::environment, "--gpu needs a GPU, and there is none that can be used",
                {*reason},
                "run it on a machine with an NVIDIA GPU and its driver (in a container: docker run "
                "--gpus all); without --gpu the wheel is checked as a file");
}

std::optional<GpuReport> check_on_gpu(const fs::path& file, const WheelFacts& facts,
                                      const Promise& promise, const PythonChoice& choice,
                                      Reporter& report) {
  if (!facts.faults.archive.empty()) {
    report.warning("the archive is not sound: nothing in it is run");
    return std::nullopt;
  }
  const PythonEnv python = python_for(facts, promise, /*wants_torch=*/true, choice, report);
  const auto held = hold_environment(python);
  const Script script(python);
  GpuReport result{script.device(), python.executable.string(), {}};
  const GpuDevice& device = result.device;
  report.note(fmt::format("the GPU is {} {}, torch {}, CUDA {}", device.name,
                          dotted(device.capability), device.torch, device.cuda));
  if (!promise.recipe || promise.recipe->gpu_checks.empty()) {
    report.note(
        "no function of this wheel is known: a recipe names some with [[gpu_check]] (--recipe "
        "FILE)");
    return result;
  }
  const TempDir folder;
  unpack_wheel(file, folder.path(), installed_path);
  const std::string none = reason_of_verdict(facts, promise, device.capability);
  std::set<std::string> failed_packages;
  for (const GpuCheck& check : promise.recipe->gpu_checks) {
    std::string reason = none;
    if (reason.empty()) reason = reason_to_leave_out(check, facts, device.capability);
    if (reason.empty() && failed_packages.contains(package_of(check)))
      reason = "its package cannot be imported";
    if (reason.empty()) {
      report.stage(fmt::format("checking {}", named(check)));
      result.functions.push_back(script.check(check, folder.path()));
    } else {
      result.functions.push_back({.check = check, .left_out = reason});
    }
    if (result.functions.back().is_import) failed_packages.insert(package_of(check));
  }
  return result;
}

}  // namespace sagebuild
