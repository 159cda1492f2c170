#include "sagebuild/model/build_plan.hpp"

#include "sagebuild/base/options.hpp"

namespace sagebuild {

std::string standard_of(const PlannedSource& source) {
  if (!source.cxx_standard.empty()) return source.cxx_standard;
  std::string standard;
  const std::vector<std::string>& argv = source.recorded.argv;
  for (std::size_t at = 0; at < argv.size(); ++at)
    if (const auto value = value_of(argv, at, {"-std", "--std"})) standard = *value;
  return standard;
}

}  // namespace sagebuild
