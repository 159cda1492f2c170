#pragma once
// What tests of src/nvcc share: where the golden texts lie, and the toolkit of this machine,
// if there is one.

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "sagebuild/nvcc/compile.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/memory_cache.hpp"
#include "support/recording_reporter.hpp"
#include "support/run_steps.hpp"
#include "support/shared_torch.hpp"

#define NEEDS_NVCC() \
  if (!real_nvcc()) SKIP_HERE("this machine has no CUDA toolkit")

namespace sagebuild {

inline std::filesystem::path test_source() {
  return std::filesystem::canonical(environment_value("SAGEBUILD_TEST_SOURCE").value_or("."));
}

inline std::filesystem::path test_data() { return test_source() / "tests" / "nvcc" / "data"; }

// CUDA_HOME's nvcc, else the one on PATH, else /usr/local/cuda's, else the one beside the torch
// that tests share.
inline std::optional<std::filesystem::path> real_nvcc() {
  for (const auto& home : {environment_value("CUDA_HOME"), environment_value("CUDA_PATH")})
    if (home && std::filesystem::exists(*home + "/bin/nvcc")) return *home + "/bin/nvcc";
  if (auto found = find_program("nvcc")) return found;
  if (std::filesystem::exists("/usr/local/cuda/bin/nvcc")) return "/usr/local/cuda/bin/nvcc";
  return shared_package("nvidia/cu13/bin/nvcc");
}

// A project and a torch of a few lines, and everything a compile of it needs. The torch has what
// our binding headers include, and a torch/extension.h that declares more.
class NvccWorld {
 public:
  NvccWorld() : NvccWorld(std::make_shared<MemoryCache>()) {}

  // A second build with the cache of the first, elsewhere.
  explicit NvccWorld(std::shared_ptr<MemoryCache> shared)
      : cache(std::move(shared)), folder_("nvcc-world") {
    const std::string torch = (site() / "torch" / "include").string() + "/";
    put(torch + "torch/version.h", "#pragma once\n#define TORCH_VERSION_MAJOR 2\n");
    put(torch + "ATen/core/Tensor.h",
        "#pragma once\n#include <cstdint>\n#include <stdexcept>\n#include <vector>\n#define "
        "C10_HOST_DEVICE __host__ "
        "__device__\n"
        "namespace c10 { enum class ScalarType : int8_t { Byte, Char, Short, Int, Long, Half, "
        "Float, Double, Bool = 11,"
        " BFloat16 = 15 };\ntemplate <class T> struct ArrayRef { ArrayRef(const std::vector<T>&); "
        "};\n"
        "using IntArrayRef = ArrayRef<int64_t>; struct Scale { float value; }; }\n"
        "#ifdef __CUDA_ARCH_LIST__\ntemplate <int...> struct Archs {}; using TheseArchs = "
        "Archs<__CUDA_ARCH_LIST__>;\n#endif\n"
        "namespace at { using c10::ScalarType; using c10::IntArrayRef; using c10::Scale;\n"
        "class Tensor { public: void* data_ptr() const; int64_t size(int64_t) const; ScalarType "
        "scalar_type() const; "
        "};\n"
        "constexpr auto kByte = ScalarType::Byte; constexpr auto kChar = ScalarType::Char; "
        "constexpr auto kShort = "
        "ScalarType::Short;\n"
        "constexpr auto kInt = ScalarType::Int; constexpr auto kLong = ScalarType::Long; constexpr "
        "auto kHalf = "
        "ScalarType::Half;\n"
        "constexpr auto kFloat = ScalarType::Float; constexpr auto kDouble = ScalarType::Double; "
        "}\n");
    put(torch + "c10/core/ScalarType.h", "#pragma once\n#include <ATen/core/Tensor.h>\n");
    put(torch + "c10/util/Exception.h",
        "#pragma once\n#define TORCH_CHECK(c, ...) if (!(c)) { throw std::runtime_error(__FILE__); "
        "}\n");
    put(torch + "torch/csrc/autograd/generated/variable_factories.h",
        "#pragma once\n#include <ATen/core/Tensor.h>\nnamespace torch { at::Tensor "
        "empty(at::IntArrayRef); }\n");
    put(torch + "torch/csrc/utils/pybind.h",
        "#pragma once\nnamespace pybind11 { struct module_; }\n");
    put(torch + "torch/extension.h",
        "#pragma once\n#include <ATen/core/Tensor.h>\n#include <c10/util/Exception.h>\n#include "
        "<torch/version.h>\n"
        "#include <torch/csrc/utils/pybind.h>\n#include "
        "<torch/csrc/autograd/generated/variable_factories.h>\n"
        "#define ONLY_FULL 1\n#define FULL_HEADERS 1\n"
        "namespace torch { using namespace at; constexpr auto kInt32 = at::kInt; constexpr auto "
        "kFloat32 = at::kFloat; "
        "}\n");
  }

  std::shared_ptr<MemoryCache> cache;
  RecordingReporter reporter;
  std::vector<CompileOutcome> outcomes;
  HeaderChoice choice = HeaderChoice::automatic;
  ProvedSources proved = {.everything = true};
  std::vector<Target> targets = {{Arch{8, 9}, Arch{8, 9}, true, false, ""}};
  unsigned parts = 1;  // of each source, at most
  // As if it had been made: nothing is linked here. None: host passes have torch's own headers.
  std::shared_ptr<TorchBridge> bridge = std::make_shared<TorchBridge>();
  Words flags = {"-O1"};

  std::filesystem::path tree() const { return folder_.path() / "tree"; }
  std::filesystem::path site() const { return folder_.path() / "venv" / "site"; }

  void put(const std::filesystem::path& path, std::string_view content) const {
    make_folders(path.parent_path());
    write_file(path, content);
  }

  static Toolchain toolchain() {
    const auto nvcc = *real_nvcc();
    Toolchain result;
    result.nvcc = nvcc;
    result.cuda_home = nvcc.parent_path().parent_path();
    result.nvcc_build = "test";
    return result;
  }

  // Once for all tests: the self-test takes seconds.
  static std::shared_ptr<const Toolkit> toolkit() {
    static const auto shared = [] {
      MemoryCache cache;
      RecordingReporter reporter;
      return std::make_shared<const Toolkit>(
          inspect_toolkit(toolchain(), {toolchain().nvcc.string()}, cache, reporter));
    }();
    return shared;
  }

  std::shared_ptr<CompileSettings> settings() {
    auto result = std::make_shared<CompileSettings>();
    result->toolkit = toolkit();
    result->headers = test_source() / "patches" / "headers";
    result->work = folder_.path() / "work";
    result->roots = {{"tree", tree()},
                     {"site", site()},
                     {"cuda", toolchain().cuda_home},
                     {"headers", result->headers}};
    result->project = "minisage";
    result->bridge = bridge;
    result->choice = choice;
    result->proved = proved;
    result->foreign_headers = {result->headers, site() / "torch/include", toolchain().cuda_home,
                               std::filesystem::canonical(toolchain().cuda_home)};
    std::ranges::copy(result->toolkit->system_includes,
                      std::back_inserter(result->foreign_headers));
    result->keep_temporary = true;
    result->cache = cache.get();
    result->reporter = &reporter;
    result->on_outcome = [this](const CompileOutcome& outcome) { outcomes.push_back(outcome); };
    return result;
  }

  PlannedSource source(const std::string& name) const {
    PlannedSource result;
    auto& recorded = result.recorded;
    recorded.source = tree() / name;
    recorded.object = tree() / "build" / (name + ".o");
    recorded.cwd = tree();
    const bool cuda = name.ends_with(".cu");
    recorded.language = cuda ? Language::cuda : Language::cxx;
    recorded.argv = {cuda ? toolchain().nvcc.string() : "g++"};
    recorded.argv.insert(recorded.argv.end(), flags.begin(), flags.end());
    recorded.argv.push_back("-I" + (site() / "torch" / "include").string());
    result.cxx_standard = "c++17";
    if (cuda) result.targets = targets;
    result.parts = parts;
    return result;
  }

  // Compiles tree()/name and gives what ran.
  StepRunner compile(const std::string& name) {
    StepRunner runner(*cache);
    runner.run(compile_step(source(name), "mini._ops", settings()));
    return runner;
  }
  std::string object(const std::string& name) const {
    return read_file(source(name).recorded.object);
  }
  // A file of the source's private folder.
  std::filesystem::path find_private(const std::string& name) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path() / "work"))
      if (entry.path().filename() == name) return entry.path();
    return {};
  }

 private:
  TempDir folder_;
};

}  // namespace sagebuild
