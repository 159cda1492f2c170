#include "sagebuild/sys/driver.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

namespace sagebuild {
namespace {

// The driver's interface (cuda.h) as far as it is needed: all give 0 if all is well.
using Init = int (*)(unsigned);
using GetCount = int (*)(int*);
using GetErrorString = int (*)(int, const char**);

template <class Function>
Function function_of(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

std::string words_of(void* library, int code) {
  const auto error_string = function_of<GetErrorString>(library, "cuGetErrorString");
  const char* words = nullptr;
  if (error_string == nullptr || error_string(code, &words) != 0 || words == nullptr)
    words = "an error";
  return fmt::format("the driver says: {} ({})", words, code);
}

}  // namespace

std::optional<std::string> why_no_gpu() {
  // It is never unloaded: the driver does not like that.
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return fmt::format("the driver cannot be loaded: {}", dlerror());
  const auto init = function_of<Init>(library, "cuInit");
  const auto get_count = function_of<GetCount>(library, "cuDeviceGetCount");
  if (init == nullptr || get_count == nullptr) return "libcuda.so.1 is not the driver's";
  int count = 0;
  if (const int code = init(0); code != 0) return words_of(library, code);
  if (const int code = get_count(&count); code != 0) return words_of(library, code);
  if (count == 0) return "the driver finds no GPU";
  return std::nullopt;
}

}  // namespace sagebuild
