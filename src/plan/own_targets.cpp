#include "own_targets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sagebuild/base/options.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

// "90a" of "sm_90a". Without the table of known ones: a new feature target must not be taken for
// none.
std::optional<Arch> arch_of(std::string_view name, std::string_view prefix) {
  if (!take_prefix(name, prefix) || name.size() < 2) return std::nullopt;
  Arch arch;
  if (name.back() == 'a' || name.back() == 'f') {
    arch.feature = static_cast<ArchFeature>(name.back());
    name.remove_suffix(1);
  }
  const auto number = to_integer(name);
  if (!number) return std::nullopt;
  arch.major = static_cast<int>(*number / 10);
  arch.minor = static_cast<int>(*number % 10);
  return arch;
}

void add_codes(std::string_view virtual_name, std::string_view codes, std::vector<Target>& named) {
  const auto virtual_arch = arch_of(virtual_name, "compute_");
  if (!virtual_arch) return;
  for (const std::string_view code : split(codes, ",[]\"'")) {
    const auto real = arch_of(code, "sm_");
    const auto ptx = arch_of(code, "compute_");
    if (real) named.push_back({*virtual_arch, *real, true, false, ""});
    if (ptx) named.push_back({*ptx, *ptx, false, true, ""});
  }
}

// "arch=compute_90a,code=[sm_90a,compute_90a]"
void add_gencode(std::string_view value, std::vector<Target>& named) {
  const auto code = value.find("code=");
  if (!take_prefix(value, "arch=") || code == std::string_view::npos) return;
  const std::string_view arch = value.substr(0, value.find(','));
  add_codes(arch, value.substr(value.find("code=") + 5), named);
}

Arch gpu_of(Arch arch) { return {arch.major, arch.minor}; }

// Machine code runs on its own GPU, and on later minors of its major unless it is for that GPU's
// own features.
bool is_older_code_for(Arch gpu, Arch real) {
  return real.feature != ArchFeature::specific && real.major == gpu.major && real.minor < gpu.minor;
}

bool ptx_runs_on(Arch gpu, Arch ptx) {
  if (ptx.feature == ArchFeature::plain) return gpu_of(ptx) <= gpu;
  if (ptx.feature == ArchFeature::family) return ptx.major == gpu.major && ptx.minor <= gpu.minor;
  return gpu_of(ptx) == gpu;
}

std::vector<Target> machine_code_for(Arch gpu, const std::vector<Target>& named) {
  std::vector<Target> found;
  for (const Target& target : named) {
    if (target.sass && gpu_of(target.real) == gpu) found.push_back(target);
  }
  for (Target& target : found) target.reason = "named by setup.py";
  if (!found.empty()) return found;
  for (const Target& target : named) {
    if (!target.sass || !is_older_code_for(gpu, target.real)) continue;
    if (found.empty() || found.front().real < target.real) found = {target};
  }
  for (Target& target : found)
    target.reason = fmt::format("setup.py's own {} serves {}", sm_name(target.real), dotted(gpu));
  return found;
}

std::optional<Target> ptx_for(Arch gpu, const std::vector<Target>& named) {
  std::optional<Target> best;
  for (const Target& target : named) {
    if (target.ptx && ptx_runs_on(gpu, target.virtual_arch) &&
        (!best || best->virtual_arch < target.virtual_arch))
      best = target;
  }
  if (best)
    best->reason = fmt::format("setup.py's own PTX, which a driver compiles for {}", dotted(gpu));
  return best;
}

}  // namespace

std::vector<Target> named_targets(const std::vector<std::string>& argv) {
  std::vector<Target> named;
  std::string arch;
  std::string codes;
  for (std::size_t at = 1; at < argv.size(); ++at) {
    if (const auto gencode =
            value_of(argv, at, {"-gencode", "--gencode", "-generate-code", "--generate-code"}))
      add_gencode(*gencode, named);
    else if (const auto value =
                 value_of(argv, at, {"-arch", "--arch", "-gpu-architecture", "--gpu-architecture"}))
      arch = *value;
    else if (const auto code = value_of(argv, at, {"-code", "--code", "-gpu-code", "--gpu-code"}))
      codes = *code;
  }
  // "-arch=sm_90a" alone is short for its machine code and its PTX.
  if (const auto real = arch_of(arch, "sm_")) {
    arch = compute_name(*real);
    if (codes.empty()) codes = sm_name(*real) + "," + arch;
  }
  add_codes(arch, codes.empty() ? arch : codes, named);
  return named;
}

bool names_features(const std::vector<Target>& named) {
  return std::ranges::any_of(named, [](const Target& target) {
    return target.real.feature != ArchFeature::plain ||
           target.virtual_arch.feature != ArchFeature::plain;
  });
}

OwnTargets own_targets(const std::vector<Target>& named, const ArchList& archs) {
  OwnTargets own;
  for (const ArchRequest& request : archs) {
    const Arch gpu = gpu_of(request.arch);
    const std::size_t before = own.targets.size();
    for (Target target : machine_code_for(gpu, named)) {
      target.ptx = request.ptx && target.virtual_arch.feature == ArchFeature::plain;
      target.sass = request.sass;
      if (target.sass || target.ptx) own.targets.push_back(std::move(target));
    }
    if (own.targets.size() > before) {
      const bool has_ptx = std::any_of(own.targets.begin() + static_cast<std::ptrdiff_t>(before),
                                       own.targets.end(), [](const Target& t) { return t.ptx; });
      if (request.ptx && !has_ptx) own.unserved.push_back({request.arch, false, true});
      continue;
    }
    if (auto ptx = ptx_for(gpu, named))
      own.targets.push_back(*std::move(ptx));
    else
      own.unserved.push_back(request);
  }
  return own;
}

}  // namespace sagebuild
