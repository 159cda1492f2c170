#include "app/build_parameters.hpp"

#include <algorithm>
#include <array>

#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

// "8", "2.11.0", "sm_90a", "12.0+PTX"; of a longer number nobody knows what it is.
bool is_number(std::string_view word) {
  constexpr std::size_t kLongest = 8;
  if (!take_prefix(word, "sm_")) take_prefix(word, "compute_");
  if (word.ends_with("+ptx")) word.remove_suffix(4);
  if (word.ends_with('a') || word.ends_with('f')) word.remove_suffix(1);
  return !word.empty() && word.size() <= kLongest &&
         word.find_first_not_of("0123456789.") == std::string_view::npos;
}

// A switch, a number, a version, or a list of architectures: nothing else is sure to be no secret.
bool is_switch(std::string_view value) {
  constexpr std::array<std::string_view, 9> kWords = {"on", "off", "true",   "false", "yes",
                                                      "no", "all", "native", "ptx"};
  const std::string small = lower(value);
  return std::ranges::all_of(split(small, " ;,"), [&](std::string_view word) {
    return is_number(word) || std::ranges::find(kWords, word) != kWords.end();
  });
}

// What the provenance says of variables: a value that may be a secret or a path of this machine is
// nobody's business.
std::vector<std::string> told_variables(const std::vector<std::string>& chosen) {
  std::vector<std::string> told;
  for (const std::string& variable : chosen) {
    const auto equals = variable.find('=');
    const std::string name = variable.substr(0, equals);
    const bool is_plain = equals != std::string::npos && !is_secret_variable(name) &&
                          redacted(variable) == variable && is_switch(variable.substr(equals + 1));
    told.push_back(is_plain ? variable : name);
  }
  return told;
}

// Options, and their values that are words and numbers.
bool is_plain_flags(const std::string& flags) {
  return flags.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             " -_=,.+:") == std::string::npos &&
         redacted(flags) == flags;
}

}  // namespace

std::vector<std::string> told_nvcc_flags() {
  std::vector<std::string> told;
  for (const std::string name : kNvccFlagVariables)
    if (const auto flags = environment_value(name))
      told.push_back(is_plain_flags(*flags) ? name + "=" + *flags : name);
  return told;
}

BuildParameters parameters_of(const BuildSettings& settings, const std::filesystem::path& subfolder,
                              std::vector<std::string> asked) {
  BuildParameters told;
  told.headers = name_of(settings.headers);
  told.compression = name_of(settings.compression);
  told.plain_platform = settings.plain_platform;
  told.parts = settings.parts;
  told.patch = settings.patch;
  told.assume_gpus = settings.assume_gpus;
  told.allow_cpu = settings.allow_cpu;
  told.subfolder = subfolder.string();
  asked.insert(asked.begin(), settings.setup_variables.begin(), settings.setup_variables.end());
  told.variables = told_variables(asked);
  told.nvcc_flags = told_nvcc_flags();
  told.source_date_epoch = source_date_epoch();
  return told;
}

}  // namespace sagebuild
