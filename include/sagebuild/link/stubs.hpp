#pragma once
// libcuda is part of the driver, which a build machine lacks; something must stand in for it at
// link time.

#include <filesystem>
#include <string>
#include <vector>

namespace sagebuild {

// Those of the symbols that are the driver's: cuInit, but neither cudaMalloc nor cublasCreate.
// Sorted, each once.
std::vector<std::string> driver_symbols(const std::vector<std::string>& symbols);

// Makes FOLDER/libcuda.so with soname libcuda.so.1, and a link of that name, which define each
// `cu*` symbol given (other names are left out). Every function returns CUDA_ERROR_STUB_LIBRARY.
// Gives the folder, for -L and LIBRARY_PATH. The libraries replace older ones whole. Throws
// Error{environment} if the compiler cannot make it.
std::filesystem::path libcuda_stub(const std::vector<std::string>& undefined_cu_symbols,
                                   const std::filesystem::path& folder,
                                   const std::filesystem::path& host_compiler);

}  // namespace sagebuild
