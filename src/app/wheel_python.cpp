#include "sagebuild/app/wheel_python.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/verify/verify.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// "3.11" of "cp311"; empty where any Python 3 will do.
std::string python_of(const WheelFacts& facts) {
  if (!facts.name || facts.name->abi == "abi3") return "";
  return python_of_tag(facts.name->python);
}

// The newest release that the wheel promises to run with.
std::string torch_of(const Promise& promise) {
  const auto& known = promise.known_torch;
  const Releases some = promised_releases(promise);
  for (std::size_t i = known ? known->releases().size() : 0; i-- > 0;)
    if ((some >> i & 1U) != 0) return known->releases()[i].text();
  return promise.torch ? promise.torch->text() : "";
}

// Its modules would not be found, or their import would fail in words of the module's.
void require_fit(const WheelFacts& facts, const std::string& who, const std::string& version,
                 const std::string& tag) {
  const auto number = parse_version(version);
  if (!facts.name || !number || is_for_python(*facts.name, *number, tag)) return;
  throw Error(ErrorKind::environment,
              fmt::format("{} is Python {}, and the wheel is for {}-{}", who, number->major_minor(),
                          facts.name->python, facts.name->abi),
              {}, "name a Python that the wheel is for: --python");
}

void require_fit(const WheelFacts& facts, const PythonEnv& python) {
  require_fit(facts, fmt::format("'{}'", python.executable.string()), python.version, python.tag);
}

}  // namespace

PythonEnv python_for(const WheelFacts& facts, const Promise& promise, bool wants_torch,
                     PythonChoice choice, Reporter& report) {
  // "3" alone will do for all.
  if (const auto parts = split(choice.python, "."); parts.size() > 1)
    require_fit(facts, "--python", choice.python, fmt::format("cp{}{}", parts[0], parts[1]));
  if (choice.python.empty() && !choice.path) choice.python = python_of(facts);
  if (wants_torch && !choice.path) choice.torch = torch_of(promise);
  if (auto found = existing_python(choice, report)) {
    require_fit(facts, found->python);
    if (!wants_torch || found->python.torch) return std::move(found->python);
    if (choice.path)
      throw Error(ErrorKind::environment,
                  fmt::format("'{}' has no torch", found->python.executable.string()), {},
                  "name a Python with torch, or none: an environment is made then");
  }
  EnvironmentRequest request;
  request.python = choice.python;
  request.offline = choice.offline;
  request.torch = !wants_torch ? "" : choice.torch.empty() ? kDefaultTorch : choice.torch;
  if (!wants_torch) request.tools.clear();
  PythonEnv made = create_environment(request, report);
  require_fit(facts, made);
  return made;
}

std::string installed_path(const std::string& name) {
  const std::vector<std::string_view> parts = split(name, "/");
  if (parts.size() < 3 || !parts[0].ends_with(".data") ||
      (parts[1] != "purelib" && parts[1] != "platlib"))
    return name;
  return join(std::vector<std::string>(parts.begin() + 2, parts.end()), "/");
}

void unpack_wheel(const fs::path& wheel, const fs::path& folder,
                  const std::function<std::string(const std::string&)>& path_of) {
  const WheelReader reader(wheel);
  for (std::size_t index = 0; index < reader.entries().size(); ++index) {
    const std::string& name = reader.entries()[index].name;
    const std::string target = path_of(name);
    if (name.ends_with('/') || target.empty()) continue;
    const fs::path path = folder / target;
    make_folders(path.parent_path());
    AtomicFile file(path);
    reader.stream(index, [&](std::string_view piece) { file.write(piece); });
    file.commit();
  }
}

}  // namespace sagebuild
