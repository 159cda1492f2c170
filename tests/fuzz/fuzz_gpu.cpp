// Any bytes as a library with GPU code, and as any other ELF file: it is read, or an Error says
// what is wrong.

#include "sagebuild/base/error.hpp"
#include "sagebuild/gpu/read.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/wheel/module_facts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const sagebuild::TempDir dir("fuzz-gpu", "/dev/shm");
  const std::filesystem::path file = dir.path() / "lib.so";
  sagebuild::write_file(file, std::string_view(reinterpret_cast<const char*>(data), size));
  sagebuild::GpuReadSettings settings;
  settings.deep = settings.kernel_names = settings.digests = true;
  try {
    (void)sagebuild::read_gpu_code(file, settings);
  } catch (const sagebuild::Error&) {
  }
  try {
    (void)sagebuild::module_facts(file, "lib.so");
  } catch (const sagebuild::Error&) {
  }
  return 0;
}
