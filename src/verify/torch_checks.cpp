#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/verify/torch_symbols.hpp"
#include "sagebuild/verify/verify.hpp"
#include "verify/checks.hpp"
#include "verify/specifiers.hpp"

namespace sagebuild::verifying {
namespace {

const Version kFirstCxx11Torch{2, 7};

// Whether METADATA asks for one that is no older.
bool asks_for_cxx11(const Promise& promise) {
  const std::string asked = promise.torch_asked.value_or("");
  if (asked.empty() || !promise.is_torch_decided || ends_below(asked, kFirstCxx11Torch))
    return false;
  for (int minor = 0; minor < kFirstCxx11Torch.minor(); ++minor)
    if (allows(asked, {2, minor, 0})) return false;
  return true;
}

// Gives whether the module is right in this.
bool check_abi(const ModuleFacts& module, const Promise& promise, Findings& found) {
  if (module.cxx_abi != CxxAbi::old) return true;
  const auto newer = std::ranges::find_if(promise.torches, [](const StatedTorch& stated) {
    return !(stated.torch < kFirstCxx11Torch);
  });
  std::string what;
  if (newer != promise.torches.end())
    what = fmt::format("torch {}, which {} promises,", newer->torch.major_minor(), newer->who);
  else if (asks_for_cxx11(promise))
    what = fmt::format("torch{}, which METADATA asks for,", *promise.torch_asked);
  else if (promise.torches.empty() &&
           !ends_below(promise.torch_asked.value_or(""), kFirstCxx11Torch))
    what = "torch 2.7 and newer";
  else
    return true;
  found.add("SB121", module.path,
            fmt::format("{} {} no such symbols", what, what.ends_with(',') ? "has" : "have"));
  return false;
}

// What the modules are held against.
struct Wanted {
  const TorchSymbols* torch = nullptr;
  Releases releases = 0;
  std::vector<std::string_view> who;  // promises them; empty: the user named them
};

Releases releases_with(const TorchSymbols& torch, const auto& is_wanted) {
  Releases some = 0;
  for (std::size_t i = 0; i < torch.releases().size(); ++i)
    if (is_wanted(torch.releases()[i])) some |= Releases{1} << i;
  return some;
}

Releases releases_of(const TorchSymbols& torch, const Version& version) {
  return releases_with(torch, [&](const Version& release) {
    return release.major_minor() == version.major_minor();
  });
}

Releases releases_asked(const TorchSymbols& torch, const Promise& promise) {
  if (promise.torch_asked.value_or("").empty() || !promise.is_torch_decided) return 0;
  return releases_with(
      torch, [&](const Version& release) { return allows(*promise.torch_asked, release); });
}

// Each torch that somebody promises, once. Those of a nightly or a vendor cannot be judged.
std::vector<Wanted> wanted_torches(const Promise& promise) {
  std::vector<Wanted> all;
  const auto add = [&](Releases releases, std::string_view who) {
    const auto same = std::ranges::find(all, releases, &Wanted::releases);
    if (same != all.end())
      same->who.push_back(who);
    else if (releases != 0)
      all.push_back({promise.known_torch.get(), releases, {who}});
  };
  if (promise.given_torch) return {{promise.given_torch.get(), promise.given_torch->all(), {}}};
  if (!promise.known_torch || !promise.is_torch_release) return all;
  for (const auto& [who, torch] : promise.torches)
    add(releases_of(*promise.known_torch, torch), who);
  add(releases_asked(*promise.known_torch, promise), kMetadata);
  return all;
}

// "torch 2.10 to 2.12, which METADATA lets in," or "torch 2.11, which its label promises,".
std::string lacking_text(const Wanted& promised, Releases lacking) {
  const std::string torch = "torch " + promised.torch->text(lacking);
  if (promised.who.empty()) return torch;
  const std::string who = fmt::format("{}", fmt::join(promised.who, " and "));
  if (who == kMetadata) return fmt::format("{}, which METADATA lets in,", torch);
  return fmt::format("{}, which {} promise{},", torch, who, promised.who.size() == 1 ? "s" : "");
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

void check_symbols(const WheelFacts& wheel, const ModuleFacts& module,
                   const std::vector<std::string>& symbols, const Wanted& promised,
                   const std::string& fitting, Findings& found) {
  Releases fits = promised.releases;
  std::vector<std::string> missing;
  for (const std::string& symbol : symbols) {
    const Releases has = promised.torch->exporters(symbol) & promised.releases;
    if (has != promised.releases) missing.push_back(symbol);
    fits &= has;
  }
  if (missing.empty()) return;
  const std::string lacking = lacking_text(promised, promised.releases & ~fits);
  const std::string readable = demangled(missing.front());
  const std::vector<std::string> others = other_libraries(wheel, module);
  found.add_if(
      fits == 0 && others.empty(), "SB136", module.path,
      fmt::format("{} lacks {}{}{}{}{}", lacking, missing.front(),
                  readable == missing.front() ? "" : fmt::format(" ({})", readable),
                  missing.size() == 1 ? "" : fmt::format(" and {} more", missing.size() - 1),
                  others.empty() ? "" : fmt::format(", if {} does not have it", others.front()),
                  fitting));
}

bool is_closed(const std::optional<std::string>& asked) {
  return asked && (asked->find("==") != std::string::npos ||
                   asked->find('<') != std::string::npos || asked->find('~') != std::string::npos);
}

}  // namespace

void check_torch(const WheelFacts& wheel, const Promise& promise, Findings& found) {
  const std::vector<Wanted> promised = wanted_torches(promise);
  const std::string fitting = fitting_text(wheel, promise);
  bool bound = false;
  for (const ModuleFacts& module : wheel.modules) {
    if (!module.is_linked) continue;
    if (check_abi(module, promise, found) && !promised.empty()) {
      const std::vector<std::string> symbols = wanted_of_torch(wheel, module);
      for (const Wanted& one : promised) check_symbols(wheel, module, symbols, one, fitting, found);
    }
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
  if (!promise.known_torch) return 0;
  const TorchSymbols& torch = *promise.known_torch;
  if (!promise.torch) return verifying::releases_asked(torch, promise);
  return promise.is_torch_release ? verifying::releases_of(torch, *promise.torch) : 0;
}

}  // namespace sagebuild
