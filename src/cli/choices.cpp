#include "sagebuild/cli/choices.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"

namespace sagebuild {

PythonChoice named_python(const Settings& settings) {
  PythonChoice choice;
  if (const auto python = settings.optional_text("python")) {
    const bool is_version = parse_version(*python) && python->find('/') == std::string::npos;
    if (is_version)
      choice.python = *python;
    else
      choice.path = *python;
  }
  return choice;
}

PythonChoice python_choice(const Settings& settings) {
  PythonChoice choice = named_python(settings);
  choice.torch = settings.text("torch");
  if (!choice.torch.empty() && !parse_version(choice.torch))
    throw Error(ErrorKind::usage, fmt::format("'{}' is no torch version", choice.torch), {},
                "for example 2.11.0");
  choice.cuda = settings.text("cuda");
  choice.index_url = settings.text("index-url");
  choice.offline = settings.enabled("offline");
  return choice;
}

ToolchainChoice toolchain_choice(const Settings& settings) {
  ToolchainChoice choice;
  if (const auto home = settings.optional_text("cuda-home")) choice.cuda_home = *home;
  if (const auto cuda = settings.optional_text("cuda")) {
    const auto version = parse_version(*cuda);
    if (!version)
      throw Error(ErrorKind::usage, fmt::format("'{}' is no CUDA version", *cuda), {},
                  "for example 13.0");
    choice.cuda = *version;
  }
  choice.offline = settings.enabled("offline");
  return choice;
}

bool is_recipe_file(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".toml");
}

}  // namespace sagebuild
