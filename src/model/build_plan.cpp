#include "sagebuild/model/build_plan.hpp"

#include "sagebuild/base/strings.hpp"

namespace sagebuild {

std::string standard_of(const PlannedSource& source) {
  if (!source.cxx_standard.empty()) return source.cxx_standard;
  std::string standard;
  const std::vector<std::string>& argv = source.recorded.argv;
  for (std::size_t at = 0; at < argv.size(); ++at) {
    for (const std::string_view option : {"-std", "--std"}) {
      std::string_view word = argv[at];
      if (!take_prefix(word, option)) continue;
      if (word.empty() && at + 1 < argv.size()) standard = argv[at + 1];
      if (take_prefix(word, "=")) standard = word;
    }
  }
  return standard;
}

}  // namespace sagebuild
