#include "sagebuild/plan/compression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

using Words = std::vector<std::string>;

constexpr std::array<std::string_view, 3> kNames = {"auto", "project", "size"};
const Version kFirstWithMode{12, 8};     // that knows --compress-mode
const Version kAllDriversReadIt{13, 0};  // they are 580 or newer

// Whether nvcc is told how to compress, or something that may tell it: options of fatbinary, a file
// of options.
bool chooses(const Words& argv) {
  constexpr std::array<std::string_view, 6> kOptions = {"compress-mode",  "no-compress",  "Xfatbin",
                                                        "fatbin-options", "options-file", "optf"};
  return std::ranges::any_of(argv, [&](std::string_view word) {
    if (!word.starts_with('-')) return false;
    while (take_prefix(word, "-")) continue;
    return std::ranges::any_of(kOptions, [&](auto option) { return word.starts_with(option); });
  });
}

Words words_for(Compression compression) {
  if (compression == Compression::size) return {"--compress-mode=size"};
  return {"--compress-mode=balance", "-Xfatbin=-compress-all"};
}

}  // namespace

std::string_view name_of(Compression compression) {
  return kNames[static_cast<std::size_t>(compression)];
}

std::optional<Compression> compression_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Compression>(found - kNames.begin());
}

void set_compression(BuildPlan& plan, Compression compression, const Version& cuda,
                     const Words& flags) {
  if (compression == Compression::project) return;
  if (compression == Compression::automatic && cuda < kAllDriversReadIt) return;
  if (cuda < kFirstWithMode)
    throw Error(ErrorKind::usage, fmt::format("nvcc {} cannot do --compress size", cuda.text()), {},
                fmt::format("leave it out, or take a toolkit from {} on", kFirstWithMode.text()));
  const Words words = words_for(compression);
  for (PlannedModule& module : plan.modules) {
    for (PlannedSource& source : module.sources) {
      Words& argv = source.recorded.argv;
      if (source.targets.empty()) continue;
      // In front: what setup.py appended of NVCC_APPEND_FLAGS is known by its place.
      if (!chooses(argv) && !chooses(flags))
        argv.insert(argv.begin() + 1, words.begin(), words.end());
      else if (compression == Compression::size)
        plan.warnings.push_back(
            fmt::format("setup.py or NVCC_*_FLAGS say how the GPU code of {} is compressed: "
                        "--compress size is not for it",
                        source.recorded.source.filename().string()));
    }
  }
}

}  // namespace sagebuild
