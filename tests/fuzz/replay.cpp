// Stands in for libFuzzer where the compiler has none: each file that is named, and shortened and
// changed copies of it.

#include <random>

#include "sagebuild/sys/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

namespace {

void feed(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kCopies = 20;
  std::mt19937 random(1);  // the same copies in every run
  for (int i = 1; i < argc; ++i) {
    const std::string text = sagebuild::read_file(argv[i]);
    feed(text);
    for (int copy = 0; copy < kCopies && !text.empty(); ++copy) {
      std::string changed = text.substr(0, random() % text.size() + 1);
      for (int byte = 0; byte < copy; ++byte)
        changed[random() % changed.size()] = static_cast<char>(random());
      feed(changed);
    }
  }
}
