#pragma once
// Which symbols torch's libraries export, release by release, and which releases have those that a
// wheel's modules want.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sagebuild/model/version.hpp"
#include "sagebuild/model/wheel_facts.hpp"

namespace sagebuild {

// Whether a name is torch's to export: of its namespaces, of its functions for Python, or of those
// in C ("aoti_torch_..."). data/torch-symbols.zip holds these alone.
bool is_exported_by_torch(std::string_view name);

// Bit i stands for the release releases()[i].
using Releases = std::uint32_t;

class TorchSymbols {
 public:
  // Of what is in data/torch-symbols.zip; data/make_torch_symbols.py tells its format, and how
  // seldom it takes a symbol of nobody for one of torch's. Throws Error{failed} for anything else.
  explicit TorchSymbols(std::string_view content);
  // Of one torch.
  TorchSymbols(Version release, const std::vector<std::string>& exported);

  const std::vector<Version>& releases() const { return releases_; }  // the oldest first
  Releases all() const;
  // Those that export it. Before 2.7 there were builds of both C++ ABIs, and the list has those of
  // the old one, as PyPI has: there a name with the C++11 string counts as exported.
  Releases exporters(std::string_view symbol) const;
  // "2.6 to 2.8, 2.9.1": a release without its last number stands for all of its minor version.
  std::string text(Releases some) const;

 private:
  std::vector<Version> releases_;
  std::vector<std::pair<std::uint64_t, Releases>> symbols_;  // by the first bits of their SHA-256
  Releases of_both_abis_ = 0;
};

// What the module wants of torch, and nothing else in the wheel has. Empty for what cannot be
// judged by the list: another machine than x86-64, and builds for AMD's or Intel's GPUs.
std::vector<std::string> wanted_of_torch(const WheelFacts& wheel, const ModuleFacts& module);

// Libraries of neither the wheel, nor torch, nor the system: they may have what torch lacks.
std::vector<std::string> other_libraries(const WheelFacts& wheel, const ModuleFacts& module);

// The releases that export all that the wheel's modules want. Nothing: they want nothing.
std::optional<Releases> fitting_releases(const WheelFacts& wheel, const TorchSymbols& torch);

}  // namespace sagebuild
