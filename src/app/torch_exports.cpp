#include "sagebuild/app/torch_exports.hpp"

#include <fmt/format.h>

#include <optional>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/wheel/reader.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// libgomp.so.1, libcudart.so.12: what else lies there is not torch's.
bool is_library_of_torch(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.starts_with("lib") && name.ends_with(".so") && is_elf(file);
}

void add_exports(const fs::path& library, std::vector<std::string>& exported) {
  if (!is_library_of_torch(library)) return;
  each_exported_symbol(library, [&](std::string_view name) {
    if (is_exported_by_torch(name)) exported.emplace_back(name);
  });
}

[[noreturn]] void no_torch(const fs::path& path) {
  throw Error(ErrorKind::usage, fmt::format("'{}' is no torch", path.string()), {},
              "name a torch wheel, or a Python environment with torch in it");
}

// The folder "torch" at or below an environment.
std::optional<fs::path> torch_folder(const fs::path& path) {
  std::vector<fs::path> folders = {path, path / "torch"};
  for (const fs::path& entry : entries_if_readable(path / "lib"))
    if (entry.filename().string().starts_with("python"))
      folders.push_back(entry / "site-packages" / "torch");
  for (const fs::path& folder : folders)
    if (is_there(folder / "lib" / "libc10.so")) return folder;
  return std::nullopt;
}

// The line "__version__ = '2.11.0+cu130'" of its version.py.
Version version_in(const fs::path& folder) {
  const std::string text = read_file(folder / "version.py");
  for (const std::string_view line : lines_of(text)) {
    if (!line.starts_with("__version__")) continue;
    const auto digit = line.find_first_of("0123456789");
    if (digit == std::string_view::npos) continue;
    if (const auto version = parse_version(line.substr(digit))) return *version;
  }
  throw Error(ErrorKind::failed,
              fmt::format("'{}' does not say which torch it is", (folder / "version.py").string()));
}

TorchSymbols torch_in_wheel(const fs::path& path) {
  const WheelReader wheel(path);
  const auto name = parse_wheel_name(path.filename().string());
  const auto version = name ? parse_version(name->version) : std::nullopt;
  if (!version || name->distribution != "torch") no_torch(path);
  const TempDir folder;
  std::vector<std::string> exported;
  for (std::size_t index = 0; index < wheel.entries().size(); ++index) {
    const fs::path entry = wheel.entries()[index].name;
    if (entry.parent_path() != "torch/lib") continue;
    const fs::path copy = folder.path() / entry.filename();
    {
      AtomicFile file(copy);
      wheel.stream(index, [&](std::string_view piece) { file.write(piece); });
      file.commit();
    }
    add_exports(copy, exported);
    remove_path(copy);
  }
  return {*version, exported};
}

}  // namespace

std::shared_ptr<const TorchSymbols> known_torch() {
  fs::path file;
  try {
    file = data_folder() / "data" / "torch-symbols.zip";
  } catch (const Error& error) {
    if (error.kind != ErrorKind::environment) throw;
    return nullptr;
  }
  if (!is_there(file)) return nullptr;
  return std::make_shared<const TorchSymbols>(WheelReader(file).read("torch-symbols"));
}

std::shared_ptr<const TorchSymbols> torch_at(const fs::path& path) {
  if (is_there(path) && is_file(path))
    return std::make_shared<const TorchSymbols>(torch_in_wheel(path));
  const auto folder = torch_folder(path);
  if (!folder) no_torch(path);
  std::vector<std::string> exported;
  for (const fs::path& library : entries_of(*folder / "lib")) add_exports(library, exported);
  return std::make_shared<const TorchSymbols>(version_in(*folder), exported);
}

}  // namespace sagebuild
