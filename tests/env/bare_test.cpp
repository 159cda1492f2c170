// Real uv or pip, real NVIDIA packages, real nvcc. Hidden from a plain run: bare.sh runs them where
// /usr/local is empty.

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "env/planted.hpp"
#include "sagebuild/env/doctor.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/env/toolchain.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/link/stubs.hpp"
#include "sagebuild/sys/process.hpp"
#include "sagebuild/sys/signals.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKernel = R"cu(
#include <cuda_fp16.h>
#include <cuda/std/type_traits>
__global__ void twice(__half* data) { data[threadIdx.x] = __hadd(data[threadIdx.x], data[threadIdx.x]); }
int main() { return cudaGetLastError() == cudaErrorInvalidValue; }
)cu";

PythonEnv any_python() {
  PythonEnv python = probe_python("python3");
  TorchInfo torch;  // stands for one that is not worth 4.8 GB here: only its CUDA version matters
  torch.version = "2.11.0+cu130";
  torch.number = Version{2, 11, 0};
  torch.cuda = Version{13, 0};
  torch.root = "/no/such/site-packages/torch";
  python.torch = torch;
  return python;
}

void compile_and_link(const Toolchain& toolchain, const fs::path& folder) {
  write_file(folder / "kernel.cu", kKernel);
  Command nvcc;
  nvcc.cwd = folder;
  nvcc.argv = {toolchain.nvcc.string(), "-ccbin", toolchain.host_compiler.string(),
               "-arch=sm_90a",          "-c",     "kernel.cu"};
  run_checked(nvcc, "cannot compile a kernel");
  CHECK(read_file(folder / "kernel.o").find(".nv_fatbin") != std::string::npos);
  nvcc.argv = {toolchain.nvcc.string(),
               "-ccbin",
               toolchain.host_compiler.string(),
               "kernel.o",
               "-o",
               "static"};
  run_checked(nvcc, "cannot link with nvcc");  // needs the lib64 link
  Command host;                                // as torch links: needs the libcudart.so link
  host.cwd = folder;
  host.argv = {toolchain.host_compiler.string(),
               "-shared",
               "-o",
               "kernel.so",
               "-Wl,--no-undefined",
               "-fPIC"};
  host.argv.insert(host.argv.end(),
                   {"-x", "c++", "-", "-L" + (toolchain.cuda_home / "lib64").string(), "-lcudart"});
  host.input = "extern \"C\" int cudaGetLastError(); int last() { return cudaGetLastError(); }\n";
  run_checked(host, "cannot link with -lcudart");
}

// A folder that uv and pip take as a package index, with one wheel: a torch of a few files.
fs::path index_with_torch(const fs::path& folder, const std::string& cuda) {
  const fs::path tree = folder / "tree";
  const fs::path info = tree / "torch-2.11.0.dist-info";
  make_folders(tree / "torch");
  make_folders(info);
  write_file(tree / "torch" / "__init__.py", "");
  write_file(tree / "torch" / "version.py", "__version__ = '2.11.0+test'\ncuda = '" + cuda + "'\n");
  write_file(info / "METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0\n");
  write_file(info / "WHEEL",
             "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n");
  write_file(info / "RECORD",
             "torch/__init__.py,,\ntorch/version.py,,\ntorch-2.11.0.dist-info/METADATA,,\n"
             "torch-2.11.0.dist-info/WHEEL,,\ntorch-2.11.0.dist-info/RECORD,,\n");
  const fs::path project = folder / "simple" / "torch";
  make_folders(project);
  Command zip;
  zip.cwd = tree;
  const std::string wheel = "torch-2.11.0-py3-none-any.whl";
  zip.argv = {"python3",
              "-m",
              "zipfile",
              "-c",
              (project / wheel).string(),
              "torch/",
              "torch-2.11.0.dist-info/"};
  run_checked(zip, "cannot pack the test's torch");
  write_file(project / "index.html", "<a href=\"" + wheel + "\">" + wheel + "</a>\n");
  return folder / "simple";
}

struct BareWorld {
  TempDir home{"sagebuild-env-test"};
  WithEnvironment env{{"SAGEBUILD_CACHE_DIR", (home.path() / "cache").string()},
                      {"VIRTUAL_ENV", std::nullopt}};
  RecordingReporter report;
};

}  // namespace

TEST_CASE("a bare machine gets a toolkit from PyPI that compiles and links", "[.][bare]") {
  REQUIRE(fs::is_empty("/usr/local"));
  BareWorld world;
  const Toolchain toolchain = find_toolchain({}, any_python(), world.report);
  CHECK(toolchain.origin == "PyPI packages");
  CHECK(toolchain.nvcc_build == "13.0.88");
  CHECK(toolchain.cuda_home == toolkit_folder("13.0.2"));
  CHECK(newest_host_major(toolchain.cuda_home, false) == 15);
  CHECK(newest_host_major(toolchain.cuda_home, true) == 20);
  CHECK(world.report.stages.size() == 1);
  compile_and_link(toolchain, world.home.path());

  // A second time nothing is fetched, offline or not; and no half-made folder is left.
  ToolchainChoice offline;
  offline.offline = true;
  CHECK(find_toolchain(offline, any_python(), world.report).cuda_home == toolchain.cuda_home);
  CHECK(world.report.stages.size() == 1);
  for (const auto& entry : fs::directory_iterator(world.home.path() / "cache" / "toolkits")) {
    CHECK((entry.is_regular_file() || entry.path().filename() == "13.0.2"));
  }
}

TEST_CASE("an index that cannot be reached is a network error, and leaves nothing", "[.][bare]") {
  BareWorld world;
  const WithEnvironment dead({{"UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple"},
                              {"PIP_INDEX_URL", "http://127.0.0.1:9/simple"},
                              {"UV_HTTP_RETRIES", "0"},
                              {"PIP_RETRIES", "0"},
                              {"PIP_FIND_LINKS", std::nullopt},
                              {"UV_CACHE_DIR", (world.home.path() / "uv").string()},
                              {"PIP_CACHE_DIR", (world.home.path() / "pip").string()}});
  try {
    find_toolchain({}, any_python(), world.report);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind == ErrorKind::network);
    CHECK(error.message == "cannot install a CUDA 13.0.2 toolkit");
    CHECK(fs::exists(error.log));
  }
  CHECK_FALSE(fs::exists(toolkit_folder("13.0.2")));
}

TEST_CASE("a stub libcuda links and loads in the driver's place", "[.][bare]") {
  BareWorld world;
  const fs::path folder = world.home.path() / "stubs";
  CHECK(libcuda_stub({"cuInit", "cuTensorMapEncodeTiled", "cudaMalloc", "cu;rm"}, folder,
                     "/usr/bin/g++") == folder);
  const auto user = [&] {
    Command link;
    link.cwd = world.home.path();
    link.argv = {"/usr/bin/g++",       "-shared", "-fPIC", "-o", "user.so",
                 "-Wl,--no-undefined", "-x",      "c++",   "-"};
    link.argv.insert(link.argv.end(), {"-L" + folder.string(), "-lcuda"});
    link.input =
        "extern \"C\" int cuInit(unsigned); extern \"C\" int ready() { return cuInit(0); }\n";
    return run(link);
  };
  CHECK(user().ok());
  // The user names the soname, and the link of that name makes it load here.
  Command needed;
  needed.argv = {"readelf", "-d", (world.home.path() / "user.so").string()};
  CHECK(run(needed).output.find("[libcuda.so.1]") != std::string::npos);
  void* stub = ::dlopen((folder / "libcuda.so.1").c_str(), RTLD_NOW);
  REQUIRE(stub != nullptr);
  CHECK(::dlsym(stub, "cuTensorMapEncodeTiled") != nullptr);
  CHECK(::dlsym(stub, "cudaMalloc") == nullptr);
  // Finds libcuda.so.1 by its soname
  void* loaded = ::dlopen((world.home.path() / "user.so").c_str(), RTLD_NOW);
  REQUIRE(loaded != nullptr);
  const auto ready = reinterpret_cast<int (*)()>(::dlsym(loaded, "ready"));
  REQUIRE(ready != nullptr);
  CHECK(ready() == 34);
  ::dlclose(loaded);
  ::dlclose(stub);

  libcuda_stub({}, folder, "/usr/bin/g++");
  CHECK_FALSE(user().ok());  // cuInit is gone: the library was replaced whole
  CHECK_THROWS_MATCHES(libcuda_stub({"cuInit"}, folder, "/bin/false"), Error,
                       says("'/bin/false' cannot make a stub libcuda.so"));
}

TEST_CASE("an environment is made, kept, listed and removed, and a half-made one is made anew",
          "[.][bare]") {
  BareWorld world;
  EnvironmentRequest request;
  request.torch = "";
  request.name = "small";
  request.tools = {"setuptools>=64,<82", "wheel"};
  const PythonEnv made = create_environment(request, world.report);
  CHECK(made.executable == environments_folder() / "small" / "bin" / "python");
  CHECK(parse_version(made.setuptools).value() < Version{82});
  CHECK_FALSE(made.wheel.empty());
  create_environment(request, world.report);
  CHECK(world.report.notes == std::vector<std::string>{"environment 'small' is there already"});

  const auto listed = list_environments(/*with_sizes=*/true);
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].complete);
  CHECK(listed[0].python == made.version);
  CHECK(listed[0].bytes > 1'000'000);

  fs::remove(environments_folder() / "small" / "sagebuild-env.json");
  write_file(environments_folder() / "small" / "left-over", "");
  CHECK_FALSE(list_environments(false)[0].complete);
  create_environment(request, world.report);
  CHECK_FALSE(fs::exists(environments_folder() / "small" / "left-over"));

  CHECK_THROWS_MATCHES(remove_environment("smal", world.report), Error,
                       says("there is no environment 'smal'").hints("'small'"));
  CHECK(remove_environment("small", world.report) > 1'000'000);
  CHECK(list_environments(false).empty());
}

TEST_CASE("torch and its CUDA compiler come into one environment that is a whole CUDA_HOME",
          "[.][bare]") {
  BareWorld world;
  EnvironmentRequest request;
  request.index_url = "file://" + index_with_torch(world.home.path(), "13.0").string();
  request.tools = {"setuptools>=64,<82", "wheel"};
  const PythonEnv made = create_environment(request, world.report);
  REQUIRE(made.torch);
  CHECK(made.torch->version == "2.11.0+test");

  const Toolchain toolchain = find_toolchain(
      {}, find_python({}, world.report, predict_python({}, world.report)), world.report);
  CHECK(toolchain.origin == "torch's own packages");
  CHECK(toolchain.cuda_home == made.site_packages / "nvidia" / "cu13");
  CHECK(toolchain.nvcc_build == "13.0.88");
  compile_and_link(toolchain, world.home.path());

  DoctorRequest asked;
  asked.archs = parse_arch_list("8.0 12.0");
  for (const auto& finding : diagnose(asked, this_machine(), network_reach, world.report)) {
    INFO(name_of(finding.check) << ": " << finding.detail);
    CHECK(finding.health != Health::error);
  }
}

TEST_CASE("what torch's index does not have ends before anything is kept", "[.][bare]") {
  BareWorld world;
  EnvironmentRequest request;
  request.index_url = "file://" + index_with_torch(world.home.path(), "13.0").string();
  request.tools = {"wheel"};
  request.cuda = "12.8";
  CHECK_THROWS_MATCHES(
      create_environment(request, world.report), Error,
      says("error: torch 2.11.0 from this index is built with CUDA 13.0, not 12.8\n")
          .hints("cu128"));
  EnvironmentRequest from_pypi;
  from_pypi.cuda = "12.8";
  CHECK_THROWS_MATCHES(
      create_environment(from_pypi, world.report), Error,
      says("error: torch 2.11.0 from PyPI is built with CUDA 13.0, not 12.8\n").hints("cu128"));
  request.cuda = "";
  request.torch = "9.9.9";
  try {
    create_environment(request, world.report);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind == ErrorKind::environment);
    CHECK(error.message == "cannot install torch 9.9.9");
    CHECK(error.hint.find("--index-url") != std::string::npos);
  }
  request.torch = "";
  request.python = "3.2";
  CHECK_THROWS_MATCHES(create_environment(request, world.report), Error, says("Python 3.2"));
  for (const auto& kept : list_environments(false)) CHECK_FALSE(kept.complete);
}

TEST_CASE("without uv, venv and pip do the same", "[.][bare]") {
  BareWorld world;
  // A PATH of the programs that are needed, and no uv.
  const fs::path bin = world.home.path() / "bin";
  make_folders(bin);
  fs::create_symlink(probe_python("python3").executable, bin / "python3");
  const WithEnvironment path({{"PATH", bin.string() + ":/usr/bin:/bin"}});
  if (find_program("uv")) FAIL("this machine has uv in /usr/bin: the test cannot hide it");
  EnvironmentRequest request;
  request.index_url = "file://" + index_with_torch(world.home.path(), "13.0").string();
  request.tools = {"wheel"};
  const PythonEnv made = create_environment(request, world.report);
  CHECK_FALSE(made.wheel.empty());
  const Toolchain toolchain = find_toolchain({}, made, world.report);
  CHECK(toolchain.origin == "torch's own packages");
  CHECK(make_toolkit(*toolkit_release("13.0.2"), made, false, world.report) ==
        toolkit_folder("13.0.2"));
  CHECK(probe_toolkit(toolkit_folder("13.0.2")).problem.empty());

  request.python = "3.2";
  CHECK_THROWS_MATCHES(
      create_environment(request, world.report), Error,
      says("error: there is no Python 3.2 on PATH\n").hints(install_python(this_system(), "3.2")));
}

TEST_CASE("a second sagebuild waits for the first one's environment, and says so", "[.][bare]") {
  BareWorld world;
  EnvironmentRequest request;
  request.torch = "";
  request.name = "shared";
  request.tools = {};
  make_folders(environments_folder());
  // The first one lets go as soon as the second has said that it waits.
  struct LettingGo : RecordingReporter {
    std::unique_ptr<FileLock> first =
        std::make_unique<FileLock>(environments_folder() / ".shared.lock");
    void note(std::string_view text) override {
      RecordingReporter::note(text);
      first.reset();
    }
  } report;
  create_environment(request, report);
  CHECK(report.notes ==
        std::vector<std::string>{"environment 'shared' is in use by another sagebuild: waiting"});
  CHECK(list_environments(false).at(0).complete);
}

TEST_CASE("an interrupt while packages come leaves no environment and no child", "[.][bare]") {
  BareWorld world;
  struct Interrupting : RecordingReporter {
    void stage(std::string_view text) override {
      if (text.starts_with("installing")) std::raise(SIGTERM);
    }
  };
  // In a process of its own: an interrupt, once noted, stays.
  const pid_t child = ::fork();
  if (child == 0) {
    install_signal_handlers();
    EnvironmentRequest request;
    request.name = "stopped";
    request.index_url = "http://127.0.0.1:9/simple";
    Interrupting report;
    int outcome = 1;
    try {
      create_environment(request, report);
    } catch (const Interrupted& signal) {
      outcome = signal.signal == SIGTERM ? 0 : 2;
    } catch (...) {
      outcome = 3;
    }
    ::_exit(outcome);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(fs::exists(environments_folder()));
  CHECK_FALSE(fs::exists(environments_folder() / "stopped"));
}

TEST_CASE("a full disk ends with nothing half-made", "[.][bare]") {
  const char* small = std::getenv("SAGEBUILD_TEST_SMALL_DISK");  // bare.sh mounts 40 MB
  REQUIRE(small != nullptr);
  BareWorld world;
  const WithEnvironment env({{"SAGEBUILD_CACHE_DIR", small}});
  EnvironmentRequest request;
  CHECK_THROWS_MATCHES(create_environment(request, world.report), Error,
                       says("an environment with torch needs 8.0 GB"));
  try {
    find_toolchain({}, any_python(), world.report);
    FAIL("no error");
  } catch (const Error& error) {
    INFO(error.rendered());
    CHECK(error.kind == ErrorKind::failed);
    CHECK(error.hint.find("SAGEBUILD_CACHE_DIR") != std::string::npos);
  }
  CHECK_FALSE(fs::exists(fs::path(small) / "toolkits" / "13.0.2"));
  CHECK(free_disk(small) > 30'000'000);  // what was unpacked is gone
}

}  // namespace sagebuild
