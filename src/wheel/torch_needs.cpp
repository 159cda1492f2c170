#include "torch_needs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/wheel_name.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/wheel/pack.hpp"

namespace sagebuild {
namespace {

constexpr std::array<std::string_view, 4> kTorchNamespaces = {"3c10", "2at", "5torch", "6caffe2"};

// Whether a mangled name has a name of that namespace in it: "N2at", "NK2at" and "NKR2at" begin one
// of at::, and "s2at" of std::string::at does not.
bool names_namespace(std::string_view name, std::string_view space) {
  for (auto at = name.find(space); at != std::string_view::npos; at = name.find(space, at + 1)) {
    const auto before = name.substr(0, at).find_last_not_of("ROKVr");
    if (before != std::string_view::npos && name[before] == 'N') return true;
  }
  return false;
}

}  // namespace

bool is_torch_symbol(std::string_view name) {
  // Of libtorch_python, in C and in C++
  if (name.starts_with("THP")) return true;
  if (!take_prefix(name, "_Z")) return false;
  const auto word = name.find_first_not_of("0123456789");
  if (word != 0 && word != std::string_view::npos && name.substr(word).starts_with("THP"))
    return true;
  return std::ranges::any_of(kTorchNamespaces,
                             [&](auto space) { return names_namespace(name, space); });
}

std::optional<Requirement> torch_requirement(std::string_view line) {
  if (!take_prefix(line, "Requires-Dist:")) return std::nullopt;
  Requirement requirement = parse_requirement(line);
  if (requirement.name != "torch") return std::nullopt;
  return requirement;
}

bool wants_torch(const std::filesystem::path& module) {
  return std::ranges::any_of(wanted_symbols(module), is_torch_symbol);
}

std::string local_version_label(const PythonEnv& python, const Checkout& checkout,
                                const WheelNeeds& needs) {
  std::string label;
  if (python.torch) {
    const Version& cuda = python.torch->cuda;
    label = cuda.empty() || !needs.cuda ? "cpu" : fmt::format("cu{}{}", cuda.major(), cuda.minor());
    if (needs.torch) label += fmt::format("torch{}", python.torch->number.major_minor());
  }
  if (!checkout.commit.empty())
    label += fmt::format("{}g{}", label.empty() ? "" : ".", checkout.commit.substr(0, 7));
  if (checkout.dirty && !checkout.commit.empty()) label += ".dirty";
  return label;
}

std::string labelled_version(const std::string& version, const std::string& label) {
  const auto plus = version.find('+');
  if (label.empty()) return version;
  if (plus == std::string::npos) return fmt::format("{}+{}", version, label);
  const std::string own = version.substr(plus + 1);
  const auto cuda = cuda_of_label(own);
  const auto torch = torch_of_label(own);
  if (!cuda && !torch) {
    // setuptools_scm's label names the commit, as ours does.
    const auto commit = label.rfind(".g");
    const bool named =
        commit != std::string::npos && own.find(label.substr(commit + 1, 8)) != std::string::npos;
    return fmt::format("{}.{}", version, named ? label.substr(0, commit) : label);
  }
  const auto our_torch = torch_of_label(label);
  const bool is_true = (!cuda || cuda == cuda_of_label(label)) &&
                       (!torch || !our_torch || torch->major_minor() == our_torch->major_minor());
  return is_true ? version : fmt::format("{}+{}", version.substr(0, plus), label);
}

}  // namespace sagebuild
