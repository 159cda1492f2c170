// A source in parts, with a real nvcc: the same kernels and functions as in one piece, and whatever
// would be there twice keeps it whole.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sagebuild/nvcc/compile.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/elf.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

constexpr std::string_view kShared = R"(#include <torch/extension.h>
#include "more.cuh"
template <int N> __global__ void k(int* p) { p[threadIdx.x] = N * kFactor; }
)";
constexpr std::string_view kFirst = R"(
void first(torch::Tensor t) {
  TORCH_CHECK(t.size(0) > 0, "empty");
  k<1><<<1, 32>>>(static_cast<int*>(t.data_ptr()));
  k<2><<<1, 32>>>(static_cast<int*>(t.data_ptr()));
}
)";
constexpr std::string_view kSecond = R"(
// } a brace in a comment
int second(torch::Tensor t, int n = 1) {
  const char* text = "} {";
  k<3><<<1, 32>>>(static_cast<int*>(t.data_ptr()));
  return text[0] + n;
}
)";

class PartsWorld : public NvccWorld {
 public:
  PartsWorld() {
    parts = 4;
    put(tree() / "more.cuh", "#pragma once\nconstexpr int kFactor = 3;\n");
    write("");
  }
  void write(std::string_view planted, std::string_view first = kFirst,
             std::string_view second = kSecond) const {
    put(tree() / "a.cu", fmt::format("{}{}{}{}", kShared, planted, first, second));
  }
  std::filesystem::path object_file() const { return source("a.cu").recorded.object; }
};

std::vector<std::string> exports_of(const PartsWorld& world) {
  return object_content(world.object_file()).exports;
}

TEST_CASE("parts hold the kernels and functions of the whole") {
  NEEDS_NVCC();
  PartsWorld world;
  world.targets = {{Arch{8, 9}, Arch{8, 9}, true, false, ""},
                   {Arch{12, 0}, Arch{12, 0}, true, true, ""}};
  const auto runs = world.compile("a.cu");
  CHECK(world.outcomes.back().parts == 2);
  CHECK(world.outcomes.back().whole_reason == "");
  CHECK(runs.count("cicc") == 4);
  CHECK(runs.count("host compile") == 2);
  CHECK(runs.count("host preprocess") == 1);
  const auto in_parts = exports_of(world);

  world.parts = 1;
  CHECK(world.compile("a.cu").count("cicc") == 2);
  CHECK(world.outcomes.back().parts == 1);
  const auto whole = exports_of(world);
  const auto functions = [](const std::vector<std::string>& symbols) {
    std::set<std::string> names;
    for (const auto& name : symbols)
      if (name.find("fatbin") == std::string::npos) names.insert(name);
    return names;
  };
  CHECK(functions(in_parts) == functions(whole));
  CHECK(functions(whole).size() == 2);
}

TEST_CASE("parts together are predicted to take what the whole takes") {
  NEEDS_NVCC();
  PartsWorld world;
  const auto cicc_seconds = [&] {
    const auto prediction = predict_compile(world.source("a.cu"), "mini._ops", *world.settings());
    double seconds = 0;
    for (const Step& step : prediction.steps)
      if (step.stage == Stage::cicc) seconds += step.expected_seconds;
    return seconds;
  };
  const double in_parts = cicc_seconds();
  world.parts = 1;
  CHECK(in_parts == cicc_seconds());
  CHECK(in_parts > 0);
}

TEST_CASE("kernels of parts have the PTX of the whole") {
  NEEDS_NVCC();
  PartsWorld world;
  const auto bodies = [&] {
    std::set<std::string> texts;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(world.settings()->work)) {
      if (entry.path().extension() != ".ptx" ||
          !entry.path().parent_path().filename().string().starts_with("cicc."))
        continue;
      // Comments name the kernel that comes next.
      std::string text;
      const std::string written = read_file(entry.path());
      for (const auto line : lines_of(written))
        if (line.find("//") == std::string_view::npos) text += std::string(line) + "\n";
      for (auto at = text.find(".visible .entry"); at != std::string::npos;) {
        const auto next = text.find(".visible .entry", at + 1);
        texts.insert(std::string(trimmed(std::string_view(text).substr(at, next - at))));
        at = next;
      }
    }
    return texts;
  };
  world.compile("a.cu");
  const auto in_parts = bodies();
  world.parts = 1;
  world.compile("a.cu");
  CHECK(in_parts.size() == 3);
  CHECK(bodies() == in_parts);
}

TEST_CASE("a launcher that is touched costs its part alone, and one that is added no other") {
  NEEDS_NVCC();
  PartsWorld world;
  world.compile("a.cu");
  std::string touched(kSecond);
  touched.replace(touched.find("k<3>"), 4, "k<4>");
  SECTION("touched") {
    world.write("", kFirst, touched);
    const auto runs = world.compile("a.cu");
    CHECK(runs.count("cicc") == 1);
    CHECK(runs.count("ptxas") == 1);
    CHECK(runs.count("cudafe++") == 1);
    CHECK(runs.count("host compile") == 1);
  }
  SECTION("added") {
    world.write("", kFirst,
                std::string(kSecond) +
                    "void third(torch::Tensor t) { k<9><<<1, "
                    "1>>>(static_cast<int*>(t.data_ptr())); }\n");
    const auto runs = world.compile("a.cu");
    CHECK(world.outcomes.back().parts == 3);
    // Their texts hold one more declaration, and what comes of that is the same.
    CHECK(runs.count("cicc") == 3);
    CHECK(runs.count("ptxas") == 1);
  }
}

TEST_CASE("what is there once may not be there twice: such a source stays whole, and says why") {
  NEEDS_NVCC();
  PartsWorld world;
  const std::string both =
      "void third(torch::Tensor t) { k<1><<<1, 1>>>(static_cast<int*>(t.data_ptr())); }\n";
  const std::string counting = "static int next() { static int calls = 0; return ++calls; }\n";
  std::string first(kFirst), second(kSecond);
  std::string reason;
  SECTION("a variable") {
    world.write("int calls = 0;\n");
    reason = "variable 'calls' would be there once per part";
  }
  SECTION("a constant of the device") {
    world.write("__constant__ int table[4];\n");
    reason = "variable 'table' lives on the device";
  }
  SECTION("a kernel that is no template") {
    world.write("__global__ void plain(int* p) { *p = 1; }\n");
    reason = "kernel 'plain' is no template";
  }
  SECTION("a launcher that another function calls") {
    world.write("", kFirst, second + "int third(torch::Tensor t) { return second(t); }\n");
    reason = "'second' is used by another function";
  }
  SECTION("a static variable of a function that both use") {
    first.insert(first.find("k<1>"), "next(); ");
    second.insert(second.find("k<3>"), "next(); ");
    world.write(counting, first, second);
    reason = "'next' is static: each part would make its own of it";
  }
  SECTION("a device function that is called, whose callers' constants the compiler would use") {
    world.write(
        "static __device__ __noinline__ float f(float x, float n, float m) { return n * m + x; }\n"
        "template <int N> __global__ void g(float* p) { p[0] = f(p[N], .1f * N, .3f); }\n",
        "void first(float* p) { g<1><<<1, 1>>>(p); }\n",
        "void second(float* p) { g<2><<<1, 1>>>(p); }\n");
    reason = "device function '";
  }
  SECTION("a kernel that is named after something private") {
    world.write(
        "static __device__ float relu(float x) { return x > 0 ? x : 0; }\n"
        "template <float (*F)(float), int N> __global__ void g(float* p) { p[N] = F(p[N]); }\n",
        "void first(float* p) { g<relu, 1><<<1, 1>>>(p); }\n",
        "void second(float* p) { g<relu, 2><<<1, 1>>>(p); }\n");
    reason = "is named after something private to the source";
  }
  SECTION("a kernel that two launchers start") {
    world.write("", kFirst, std::string(kSecond) + both);
    reason = "is in two parts";
  }
  SECTION("a device pass that sees other functions") {
    world.write("#ifdef __CUDA_ARCH__\nint extra(int x) { return x; }\n#endif\n");
    reason = "compute_89 has other functions than the host";
  }
  world.compile("a.cu");
  CAPTURE(world.outcomes.back().reason, world.outcomes.back().whole_reason);
  CHECK(world.outcomes.back().parts == 1);
  CHECK(world.outcomes.back().whole_reason.find(reason) != std::string::npos);
  CHECK(world.outcomes.back().whole_reason != "");
  CHECK(world.outcomes.back().mode.device == HeaderMode::facade);
  CHECK(RecordingReporter::any_has(world.reporter.notes, "is compiled in one piece"));
  CHECK(std::filesystem::exists(world.object_file()));
}

TEST_CASE("parts are for sources whose recipe says so; --no-parts is heard") {
  NEEDS_NVCC();
  PartsWorld world;
  const auto wanted = [&](bool allowed) {
    const auto settings = world.settings();
    settings->parts = allowed;
    return predict_compile(world.source("a.cu"), "mini._ops", *settings).outcome.parts;
  };
  CHECK(wanted(true) == 2);
  CHECK(wanted(false) == 1);
  world.write("int calls = 0;\n");
  CHECK(wanted(true) == 1);
  world.write("");
  world.parts = 1;
  CHECK(wanted(true) == 1);
}

}  // namespace
}  // namespace sagebuild
