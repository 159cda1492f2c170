#include "sagebuild/app/wheel_python.hpp"

#include <fmt/format.h>

#include "sagebuild/base/error.hpp"
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

}  // namespace

PythonEnv python_for(const WheelFacts& facts, const Promise& promise, bool wants_torch,
                     PythonChoice choice, Reporter& report) {
  if (choice.python.empty() && !choice.path) choice.python = python_of(facts);
  if (wants_torch && !choice.path) choice.torch = torch_of(promise);
  if (auto found = existing_python(choice, report)) {
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
  return create_environment(request, report);
}

void unpack_wheel(const fs::path& wheel, const fs::path& folder,
                  const std::function<bool(const std::string&)>& is_wanted) {
  const WheelReader reader(wheel);
  for (std::size_t index = 0; index < reader.entries().size(); ++index) {
    const std::string& name = reader.entries()[index].name;
    if (name.ends_with('/') || !is_wanted(name)) continue;
    const fs::path path = folder / name;
    make_folders(path.parent_path());
    AtomicFile file(path);
    reader.stream(index, [&](std::string_view piece) { file.write(piece); });
    file.commit();
  }
}

}  // namespace sagebuild
