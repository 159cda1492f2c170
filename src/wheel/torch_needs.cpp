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

constexpr std::string_view kNameText =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

// Mangled, so a name in a namespace: "N2at" is at::, and "s2at" of std::string::at is not.
constexpr std::array<std::string_view, 8> kTorchNamespaces = {
    "N3c10", "NK3c10", "N2at", "NK2at", "N5torch", "NK5torch", "N6caffe2", "NK6caffe2"};

}  // namespace

bool is_torch_symbol(std::string_view name) {
  if (name.starts_with("THP")) return true;  // of libtorch_python, in C
  return name.starts_with("_Z") &&
         std::ranges::any_of(kTorchNamespaces, [&](std::string_view part) {
           return name.find(part) != std::string_view::npos;
         });
}

std::optional<TorchRequirement> torch_requirement(std::string_view line) {
  if (!take_prefix(line, "Requires-Dist:")) return std::nullopt;
  line = trimmed(line);
  const std::string_view name = line.substr(0, line.find_first_not_of(kNameText));
  if (lower(name) != "torch") return std::nullopt;
  line.remove_prefix(name.size());
  line = trimmed(line);
  TorchRequirement torch;
  if (line.starts_with('[')) {
    const auto end = std::min(line.find(']'), line.size() - 1) + 1;
    torch.extras = line.substr(0, end);
    line.remove_prefix(end);
  }
  // In "torch @ URL ; marker" the URL may hold a ';' of its own.
  const auto marker = line.find(trimmed(line).starts_with('@') ? " ;" : ";");
  if (marker != std::string_view::npos)
    torch.marker = fmt::format("; {}", trimmed(line.substr(line.find(';', marker) + 1)));
  return torch;
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
