#include "sagebuild/model/arch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <optional>

#include "model/gpu_names.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/model/known_archs.hpp"

namespace sagebuild {
namespace {

struct KnownArch {
  Arch arch;
  int first_cuda_major;
  int first_cuda_minor;
  int removed_in_cuda = 0;  // major; 0: not yet
};

// What there is, with the first toolkit and the first that no longer knows it by the release notes.
// Sorted. What a package has code for is its recipe's and its setup.py's to say.
constexpr std::array kKnown = {
    KnownArch{{3, 5}, 5, 0, 12},   KnownArch{{3, 7}, 6, 5, 12}, KnownArch{{5, 0}, 6, 5, 13},
    KnownArch{{5, 2}, 7, 0, 13},   KnownArch{{5, 3}, 7, 0, 13}, KnownArch{{6, 0}, 8, 0, 13},
    KnownArch{{6, 1}, 8, 0, 13},   KnownArch{{6, 2}, 8, 0, 13}, KnownArch{{7, 0}, 9, 0, 13},
    KnownArch{{7, 2}, 9, 2, 13},   KnownArch{{7, 5}, 10, 0},    KnownArch{{8, 0}, 11, 0},
    KnownArch{{8, 6}, 11, 1},      KnownArch{{8, 7}, 11, 4},    KnownArch{{8, 8}, 13, 0},
    KnownArch{{8, 9}, 11, 8},      KnownArch{{9, 0}, 11, 8},    KnownArch{{10, 0}, 12, 8},
    KnownArch{{10, 1}, 12, 8, 13}, KnownArch{{10, 3}, 12, 9},   KnownArch{{11, 0}, 13, 0},
    KnownArch{{12, 0}, 12, 8},     KnownArch{{12, 1}, 12, 9},
};

struct Name {
  std::string_view name;
  std::string_view list;
};

// Generations as torch/utils/cpp_extension.py names them. Models of GPUs have a table of their own.
constexpr std::array kNames = {
    Name{"ampere", "8.0;8.6+PTX"},
    Name{"ampere+tegra", "8.7"},
    Name{"ada", "8.9+PTX"},
    Name{"hopper", "9.0+PTX"},
    Name{"blackwell", "10.0;10.3;12.0;12.1+PTX"},
    Name{"blackwell+tegra", "11.0"},
    Name{"turing", "7.5"},
    Name{"volta", "7.0"},
    Name{"pascal", "6.0"},
    Name{"maxwell", "5.0"},
};

std::string plain_digits(Arch arch) { return fmt::format("{}{}", arch.major, arch.minor); }
std::string plain_dotted(Arch arch) { return fmt::format("{}.{}", arch.major, arch.minor); }

std::string suffix_of(Arch arch) {
  return arch.feature == ArchFeature::plain ? "" : std::string(1, static_cast<char>(arch.feature));
}

Arch first_with(ArchFeature feature) {
  return feature == ArchFeature::specific ? Arch{9, 0} : Arch{10, 0};
}

// "12.0", "120" (the last digit is the minor) and "12".
std::optional<Arch> known_arch(std::string_view number) {
  for (const KnownArch& known : kKnown) {
    if (number == plain_dotted(known.arch) || number == plain_digits(known.arch)) return known.arch;
    if (known.arch.minor == 0 && number == std::to_string(known.arch.major)) return known.arch;
  }
  return std::nullopt;
}

const KnownArch& row_of(Arch arch) {
  const auto known = std::ranges::find(kKnown, Arch{arch.major, arch.minor}, &KnownArch::arch);
  if (known == kKnown.end())
    throw Error(ErrorKind::bug, fmt::format("no such architecture: {}", dotted(arch)));
  return *known;
}

// For a number the nearest known one ("12.2": 12.1), for a word the nearest name.
std::string nearest_spelling(std::string_view item) {
  if (const auto version = parse_version(item)) {
    const bool has_dot = item.find('.') != std::string_view::npos;
    const int wanted = has_dot ? 10 * version->major() + version->minor() : version->major();
    const auto distance = [&](const KnownArch& known) {
      return std::abs(10 * known.arch.major + known.arch.minor - wanted);
    };
    constexpr int kNear = 2;
    const auto& near = *std::ranges::min_element(kKnown, {}, distance);
    return distance(near) <= kNear ? plain_dotted(near.arch) : "";
  }
  std::vector<std::string> words = gpu_names();
  words.insert(words.end(), {"native", "all", "all-major"});
  for (const Name& name : kNames) words.emplace_back(name.name);
  for (const KnownArch& known : kKnown) {
    words.push_back("sm_" + plain_digits(known.arch));
    words.push_back("compute_" + plain_digits(known.arch));
  }
  std::string word = lower(item);
  std::erase(word, ' ');
  return nearest(word, words).value_or("");
}

[[noreturn]] void unknown(std::string_view item) {
  const std::string near = nearest_spelling(item);
  if (near == lower(item))
    throw Error(ErrorKind::usage, fmt::format("'{}' is no architecture by itself", item), {},
                "name each of them here, such as '8.0 9.0 12.0+PTX'");
  std::vector<std::string> all;
  for (const KnownArch& known : kKnown) all.push_back(plain_dotted(known.arch));
  throw Error(ErrorKind::usage, fmt::format("unknown architecture '{}'", item), {},
              near.empty()
                  ? fmt::format("known are {}", join(all, " "))
                  : fmt::format("'{}' is the nearest; known are {}", near, join(all, " ")));
}

// The capability of the GPU that is called so, or none. Throws for a name that GPUs of several
// capabilities have.
std::string capability_of(std::string_view gpu) {
  const std::vector<GpuModel> models = gpus_called(gpu);
  if (models.empty()) return "";
  const auto other = std::ranges::find_if(
      models, [&](const GpuModel& model) { return model.capability != models.front().capability; });
  if (other == models.end()) return models.front().capability;
  std::vector<std::string> all;
  for (const GpuModel& model : models)
    all.push_back(fmt::format("{} ({})", model.name, model.capability));
  throw Error(ErrorKind::usage,
              fmt::format("'{}' can be one of {} GPUs: {}", gpu, models.size(), join(all, ", ")),
              {},
              fmt::format("say which, for example '{}' or '{}'", models.back().name,
                          models.back().capability));
}

// "12.2", "sm_130a+PTX": an architecture, be it one that is not known here.
bool is_number(std::string_view item) {
  std::string text = lower(item);
  std::string_view rest = text;
  if (!take_prefix(rest, "sm_")) take_prefix(rest, "compute_");
  if (rest.ends_with("+ptx")) rest.remove_suffix(4);
  if (rest.ends_with('a') || rest.ends_with('f')) rest.remove_suffix(1);
  return !rest.empty() && rest.find_first_not_of("0123456789.") == std::string_view::npos;
}

// One item of a list; a name can stand for several requests.
std::vector<ArchRequest> parse_item(std::string_view item) {
  std::string text = lower(item);
  for (const Name& name : kNames) {
    const bool with_ptx = text == std::string(name.name) + "+ptx";
    if (text != name.name && !with_ptx) continue;
    std::vector<ArchRequest> requests;
    for (const std::string_view part : split(name.list, ";")) {
      for (const ArchRequest& request : parse_item(part)) requests.push_back(request);
    }
    requests.back().ptx |= with_ptx;
    return requests;
  }
  std::string_view rest = text;
  ArchRequest request;
  if (rest.ends_with("+ptx")) {
    rest.remove_suffix(4);
    request.ptx = true;
  }
  const std::string capability = capability_of(item.substr(0, rest.size()));
  if (!capability.empty()) {
    rest = capability;
  } else if (take_prefix(rest, "compute")) {
    take_prefix(rest, "_");
    request.sass = false;
    request.ptx = true;
  } else if (take_prefix(rest, "sm")) {
    take_prefix(rest, "_");
  }
  ArchFeature feature = ArchFeature::plain;
  if (rest.ends_with('a') || rest.ends_with('f')) {
    feature = static_cast<ArchFeature>(rest.back());
    rest.remove_suffix(1);
  }
  const auto arch = known_arch(rest);
  if (!arch || (feature != ArchFeature::plain && *arch < first_with(feature))) unknown(item);
  request.arch = *arch;
  request.arch.feature = feature;
  return {request};
}

// Words as blanks split them, and names of GPUs that hold blanks ("RTX 4070 Ti SUPER", the longest
// that is one); "12.0 PTX" is "12.0+PTX".
std::vector<std::string> items_of(std::string_view text) {
  // Lists come from wheels too, and each entry costs a look at every GPU's name.
  constexpr std::size_t kLongest = 4096;
  if (text.size() > kLongest)
    throw Error(ErrorKind::usage,
                fmt::format("a text of {} characters is no list of architectures", text.size()), {},
                "for example '8.9' or '8.0 9.0 12.0+PTX'");
  constexpr std::size_t kLongestName =
      9;  // "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition" has 8
  std::vector<std::string> items;
  for (const std::string_view part : split(text, ",;")) {
    const auto words = split(part, " \t\r\n");
    for (std::size_t i = 0; i < words.size();) {
      std::string item(words[i]);
      std::size_t taken = 1;
      std::string name = item;
      // Up to its number, a name that is not known is one item: "RTX 5091".
      bool is_open = begins_gpu_name(item);
      for (std::size_t count = 2; count <= std::min(kLongestName, words.size() - i); ++count) {
        const std::string_view word = words[i + count - 1];
        name += " " + std::string(word);
        if (!is_open && gpus_called(name).empty()) continue;
        item = name;
        taken = count;
        is_open = is_open && word.find_first_of("0123456789") == std::string_view::npos;
      }
      i += taken;
      const std::string next = i < words.size() ? lower(words[i]) : "";
      if (next == "ptx" || next == "+ptx") {
        item += item.ends_with('+') ? "PTX" : "+PTX";
        ++i;
      }
      items.push_back(std::move(item));
    }
  }
  return items;
}

ArchList merged(const std::vector<ArchRequest>& requests) {
  std::map<Arch, ArchRequest> by_arch;
  for (const ArchRequest& request : requests) {
    auto [entry, is_new] = by_arch.try_emplace(request.arch, request);
    if (is_new) continue;
    entry->second.sass |= request.sass;
    entry->second.ptx |= request.ptx;
  }
  ArchList list;
  for (const auto& [arch, request] : by_arch) list.push_back(request);
  return list;
}

}  // namespace

std::string dotted(Arch arch) { return plain_dotted(arch) + suffix_of(arch); }
std::string digits(Arch arch) { return plain_digits(arch) + suffix_of(arch); }
std::string sm_name(Arch arch) { return "sm_" + digits(arch); }
std::string compute_name(Arch arch) { return "compute_" + digits(arch); }

std::vector<Arch> known_archs() {
  std::vector<Arch> all;
  for (const KnownArch& known : kKnown) all.push_back(known.arch);
  return all;
}

Version first_cuda(Arch arch) {
  const Version family_since{12, 9};
  const Version specific_since{12, 0};
  const KnownArch& known = row_of(arch);
  Version first{known.first_cuda_major, known.first_cuda_minor};
  if (arch.feature == ArchFeature::family) first = std::max(first, family_since);
  if (arch.feature == ArchFeature::specific) first = std::max(first, specific_since);
  return first;
}

std::optional<Version> removed_in_cuda(Arch arch) {
  const int major = row_of(arch).removed_in_cuda;
  if (major == 0) return std::nullopt;
  return Version{major, 0};
}

ArchList parse_arch_list(std::string_view text) {
  std::vector<ArchRequest> requests;
  for (const std::string& item : items_of(text)) {
    for (const ArchRequest& request : parse_item(item)) requests.push_back(request);
  }
  if (requests.empty()) {
    throw Error(ErrorKind::usage, fmt::format("no architecture in '{}'", text), {},
                "for example '8.9' or '8.0 9.0 12.0+PTX'");
  }
  return merged(requests);
}

Arch parse_arch(std::string_view text) {
  const ArchList list = parse_arch_list(text);
  if (list.size() != 1 || list[0].ptx) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not one architecture", text), {},
                "for example '9.0a' or 'sm_90a'");
  }
  return list[0].arch;
}

InheritedArchList parse_inherited_arch_list(std::string_view text) {
  InheritedArchList result;
  std::vector<ArchRequest> requests;
  for (const std::string& item : items_of(text)) {
    try {
      for (const ArchRequest& request : parse_item(item)) requests.push_back(request);
    } catch (const Error&) {
      if (!is_number(item)) throw;
      result.dropped.emplace_back(item);
    }
  }
  result.list = merged(requests);
  return result;
}

std::string print(const ArchList& list) {
  std::vector<std::string> items;
  for (const ArchRequest& request : list) {
    if (!request.sass)
      items.push_back(compute_name(request.arch));
    else
      items.push_back(dotted(request.arch) + (request.ptx ? "+PTX" : ""));
  }
  return join(items, " ");
}

}  // namespace sagebuild
