// Any bytes as a wheel: it is read, or an Error says what is wrong. Every entry is unpacked, within
// what it says.

#include <cstdlib>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/wheel/reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const sagebuild::TempDir dir("fuzz-wheel", "/dev/shm");
  const std::filesystem::path file = dir.path() / "a-1.0-py3-none-any.whl";
  sagebuild::write_file(file, std::string_view(reinterpret_cast<const char*>(data), size));
  try {
    const sagebuild::WheelReader wheel(file);
    std::vector<std::uint64_t> got(wheel.entries().size());
    (void)sagebuild::read_wheel(wheel, file.filename().string(),
                                [&](std::size_t index, std::string_view piece) {
                                  got.at(index) += piece.size();
                                  if (got[index] > wheel.entries()[index].size) std::abort();
                                });
  } catch (const sagebuild::Error&) {
  }
  return 0;
}
