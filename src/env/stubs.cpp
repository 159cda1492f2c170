#include "sagebuild/env/stubs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "env/packages.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// cuInit, cuTensorMapEncodeTiled: "cu" and a capital, so neither cudaMalloc nor cublasCreate. Only plain identifiers:
// they become source text.
bool is_driver_symbol(const std::string& name) {
  return name.size() > 2 && name.starts_with("cu") && std::isupper(static_cast<unsigned char>(name[2])) != 0 &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

constexpr int kStubLibraryError = 34;  // CUDA_ERROR_STUB_LIBRARY in cuda.h

}  // namespace

fs::path libcuda_stub(const std::vector<std::string>& undefined_cu_symbols, const fs::path& folder,
                      const fs::path& host_compiler) {
  std::string source;
  for (const std::string& name : std::set<std::string>(undefined_cu_symbols.begin(), undefined_cu_symbols.end())) {
    if (is_driver_symbol(name)) {
      source += fmt::format("extern \"C\" int {}() {{ return {}; }}\n", name, kStubLibraryError);
    }
  }
  make_folders(folder);
  const TempDir work("sagebuild-stub", folder);  // on the same file system, for the rename
  const fs::path made = work.path() / "libcuda.so";
  Command command;
  command.argv = {host_compiler.string(), "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libcuda.so.1",
                  "-Wl,--build-id=none",  "-x",      "c++",   "-",         "-o",
                  made.string()};
  command.input = source.empty() ? "\n" : source;
  const ProcessResult result = run(command);
  if (!result.ok()) {
    throw Error(ErrorKind::environment, fmt::format("'{}' cannot make a stub libcuda.so", host_compiler.string()),
                last_lines(result.diagnostics, 4), "install a working g++: apt-get install g++");
  }
  fs::create_symlink("libcuda.so", work.path() / "libcuda.so.1");
  fs::rename(made, folder / "libcuda.so");
  fs::rename(work.path() / "libcuda.so.1", folder / "libcuda.so.1");
  return folder;
}

fs::path toolkit_stubs(const fs::path& cuda_home) {
  for (const char* place : {"lib64/stubs", "lib/stubs"}) {
    if (fs::exists(cuda_home / place / "libcuda.so")) return cuda_home / place;
  }
  return {};
}

}  // namespace sagebuild
