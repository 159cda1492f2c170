#include "sagebuild/link/stubs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// cuInit, cuTensorMapEncodeTiled: "cu" and a capital, so neither cudaMalloc nor cublasCreate. Only
// plain identifiers: they become source text.
bool is_driver_symbol(const std::string& name) {
  return name.size() > 2 && name.starts_with("cu") &&
         std::isupper(static_cast<unsigned char>(name[2])) != 0 &&
         std::ranges::all_of(name,
                             [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

constexpr int kStubLibraryError = 34;  // CUDA_ERROR_STUB_LIBRARY in cuda.h

}  // namespace

std::vector<std::string> driver_symbols(const std::vector<std::string>& symbols) {
  std::set<std::string> found;
  std::ranges::copy_if(symbols, std::inserter(found, found.end()), is_driver_symbol);
  return {found.begin(), found.end()};
}

fs::path libcuda_stub(const std::vector<std::string>& undefined_cu_symbols, const fs::path& folder,
                      const fs::path& host_compiler) {
  std::string source;
  for (const std::string& name : driver_symbols(undefined_cu_symbols))
    source += fmt::format("extern \"C\" int {}() {{ return {}; }}\n", name, kStubLibraryError);
  make_folders(folder);
  const TempDir work("sagebuild-stub", folder);  // on the same file system, for the rename
  const fs::path made = work.path() / "libcuda.so";
  Command command;
  command.argv = {
      host_compiler.string(), "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libcuda.so.1",
      "-Wl,--build-id=none",  "-x",      "c++",   "-",         "-o",
      made.string()};
  command.input = source.empty() ? "\n" : source;
  const ProcessResult result = run(command);
  if (!result.ok()) {
    throw Error(ErrorKind::environment,
                fmt::format("'{}' cannot make a stub libcuda.so", host_compiler.string()),
                {std::string(trimmed(result.diagnostics))},
                "install a working g++: apt-get install g++");
  }
  make_link(work.path() / "libcuda.so.1", "libcuda.so");
  move_path(made, folder / "libcuda.so");
  move_path(work.path() / "libcuda.so.1", folder / "libcuda.so.1");
  return folder;
}

}  // namespace sagebuild
