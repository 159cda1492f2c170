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

// Options whose last value counts, in any spelling: "-compress-mode", "--compress-mode=size".
bool is_choice(std::string_view word) {
  while (take_prefix(word, "-")) {
  }
  return word.starts_with("compress-mode") || word == "no-compress" || word == "compress-all";
}

// Of `-Xfatbin -compress-all` the value is a word of its own or stands behind a '='.
bool chooses(const Words& argv) {
  return std::ranges::any_of(argv, [](const std::string& word) {
    return is_choice(word) || is_choice(word.substr(word.find('=') + 1));
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

void set_compression(BuildPlan& plan, Compression compression, const Version& cuda) {
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
      if (!chooses(argv))
        argv.insert(argv.end(), words.begin(), words.end());
      else if (compression == Compression::size)
        plan.warnings.push_back(
            fmt::format("setup.py says how the GPU code of {} is compressed: --compress size is "
                        "not for it",
                        source.recorded.source.filename().string()));
    }
  }
}

}  // namespace sagebuild
