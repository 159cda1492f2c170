#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/verify/torch_symbols.hpp"
#include "sagebuild/verify/verify.hpp"
#include "verify/checks.hpp"
#include "verify/specifiers.hpp"

namespace sagebuild::verifying {
namespace {

const Version kFirstCxx11Torch{2, 7};

// Gives whether the module is right in this.
bool check_abi(const ModuleFacts& module, const Promise& promise, Findings& found) {
  const bool is_old = promise.torch
                          ? *promise.torch < kFirstCxx11Torch
                          : ends_below(promise.torch_asked.value_or(""), kFirstCxx11Torch);
  if (module.cxx_abi != CxxAbi::old || is_old) return true;
  found.add("SB121", module.path,
            promise.torch
                ? fmt::format("torch {} has no such symbols", promise.torch->major_minor())
                : "torch 2.7 and newer have no such symbols");
  return false;
}

// What the modules are held against.
struct Wanted {
  const TorchSymbols* torch = nullptr;
  Releases releases = 0;
  bool is_range = false;  // of METADATA
};

Wanted wanted_torch(const Promise& promise) {
  if (promise.given_torch) return {promise.given_torch.get(), promise.given_torch->all(), false};
  return {promise.known_torch.get(), promised_releases(promise), !promise.torch};
}

// "; its symbols fit torch 2.6 to 2.8". Empty where all fit.
std::string fitting_text(const WheelFacts& wheel, const Promise& promise) {
  if (!promise.known_torch) return "";
  const TorchSymbols& torch = *promise.known_torch;
  const auto fitting = fitting_releases(wheel, torch);
  if (!fitting || *fitting == torch.all()) return "";
  return *fitting == 0 ? fmt::format("; its symbols fit none of torch {}", torch.text(torch.all()))
                       : fmt::format("; its symbols fit torch {}", torch.text(*fitting));
}

void check_symbols(const WheelFacts& wheel, const ModuleFacts& module, const Wanted& promised,
                   const std::string& fitting, Findings& found) {
  if (promised.releases == 0) return;
  Releases fits = promised.releases;
  std::vector<std::string> missing;
  for (const std::string& symbol : wanted_of_torch(wheel, module)) {
    const Releases has = promised.torch->exporters(symbol) & promised.releases;
    if (has != promised.releases) missing.push_back(symbol);
    fits &= has;
  }
  if (missing.empty()) return;
  const std::string lacking = promised.torch->text(promised.releases & ~fits);
  const std::string readable = demangled(missing.front());
  const std::vector<std::string> others = other_libraries(wheel, module);
  found.add_if(
      fits == 0 && others.empty(), "SB136", module.path,
      fmt::format(
          "{} lacks {}{}{}{}{}",
          promised.is_range ? fmt::format("METADATA lets in torch {}, which", lacking)
                            : "torch " + lacking,
          missing.front(), readable == missing.front() ? "" : fmt::format(" ({})", readable),
          missing.size() == 1 ? "" : fmt::format(" and {} more", missing.size() - 1),
          others.empty() ? "" : fmt::format(", if {} does not have it", others.front()), fitting));
}

bool is_closed(const std::optional<std::string>& asked) {
  return asked && (asked->find("==") != std::string::npos ||
                   asked->find('<') != std::string::npos || asked->find('~') != std::string::npos);
}

}  // namespace

void check_torch(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  const Wanted promised = wanted_torch(promise);
  const std::string fitting = fitting_text(wheel, promise);
  bool bound = false;
  for (const ModuleFacts& module : wheel.modules) {
    if (!module.is_linked) continue;
    if (check_abi(module, promise, found)) check_symbols(wheel, module, promised, fitting, found);
    bound |= !module.torch_symbols.empty();
  }
  // torch itself and its kin are not bound to another one.
  const bool is_torch = wheel.name && wheel.name->distribution == "torch";
  const auto& asked = promise.torch_asked;
  if (!bound || wheel.metadata.empty() || is_closed(asked) || is_torch) return;
  found.add("SB122", wheel.file,
            fmt::format("METADATA {}{}",
                        !asked           ? "does not ask for torch"
                        : asked->empty() ? "asks for any torch"
                                         : fmt::format("asks for torch{}", *asked),
                        fitting));
}

}  // namespace sagebuild::verifying

namespace sagebuild {

Releases promised_releases(const Promise& promise) {
  const TorchSymbols* torch = promise.known_torch.get();
  Releases some = 0;
  for (std::size_t i = 0; torch != nullptr && i < torch->releases().size(); ++i) {
    const Version& release = torch->releases()[i];
    const bool is_promised =
        promise.torch
            ? promise.is_torch_release && release.major_minor() == promise.torch->major_minor()
            : !promise.torch_asked.value_or("").empty() &&
                  verifying::allows(*promise.torch_asked, release);
    if (is_promised) some |= Releases{1} << i;
  }
  return some;
}

}  // namespace sagebuild
