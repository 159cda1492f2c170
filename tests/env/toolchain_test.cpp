#include "sagebuild/env/toolchain.hpp"

#include "env/planted.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/env/system.hpp"
#include "sagebuild/env/toolkit_packages.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// No toolkit or compiler choice of the machine's environment is seen. /usr/local still is: the bare
// tests hide that.
struct CleanToolchain {
  TempDir home{"sagebuild-env-test"};
  WithEnvironment env{{{"CUDA_HOME", std::nullopt},
                       {"CUDA_PATH", std::nullopt},
                       {"NVCC_CCBIN", std::nullopt},
                       {"CXX", std::nullopt},
                       {"CC", std::nullopt},
                       {"PATH", "/usr/bin:/bin"},
                       {"SAGEBUILD_CACHE_DIR", (home.path() / "cache").string()}}};
};

PythonEnv python_with_torch(const fs::path& folder, const std::string& version,
                            const Version& cuda) {
  PythonEnv python;
  python.executable = folder / "bin" / "python";
  python.site_packages = folder / "site-packages";
  TorchInfo torch;
  torch.version = version;
  torch.cuda = cuda;
  torch.root = folder / "site-packages" / "torch";
  python.torch = torch;
  return python;
}

}  // namespace

TEST_CASE("the first toolkit that fits torch's CUDA major is taken, in the documented order") {
  CleanToolchain world;
  RecordingReporter report;
  const fs::path root = world.home.path();
  const PythonEnv python = python_with_torch(root / "env", "2.11.0+cu130", {13, 0});
  const fs::path flag = planted_toolkit(root / "flag", "13.1.115");
  const fs::path home = planted_toolkit(root / "home", "13.0.88");
  const fs::path path = planted_toolkit(root / "path", "13.2.86");
  const fs::path old = planted_toolkit(root / "old", "12.4.131");

  ToolchainChoice choice;
  choice.cuda_home = flag;
  const WithEnvironment env({{"CUDA_HOME", old.string()},
                             {"CUDA_PATH", home.string()},
                             {"PATH", (path / "bin").string() + ":/usr/bin:/bin"}});
  CHECK(find_toolchain(choice, python, report).origin == "--cuda-home");
  CHECK(report.any_has(report.notes, "torch 2.11.0+cu130 is built with CUDA 13.0, nvcc is 13.1"));

  choice.cuda_home.reset();
  const Toolchain second = find_toolchain(choice, python, report);
  CHECK(second.origin == "CUDA_PATH");
  CHECK(second.cuda_home == home);
  CHECK(second.cuda == Version{13, 0});
  CHECK(second.nvcc_build == "13.0.88");
  CHECK(second.host_compiler == "/usr/bin/g++");
  CHECK(second.stubs.empty());
  CHECK(report.any_has(report.notes,
                       "passing over a CUDA toolkit: '" + old.string() +
                           "' (CUDA_HOME) has CUDA 12.4, and torch 2.11.0+cu130 needs CUDA 13"));

  const WithEnvironment no_path({{"CUDA_PATH", std::nullopt}});
  CHECK(find_toolchain(choice, python, report).origin == "nvcc on PATH");
  choice.cuda = Version{13, 2};
  CHECK(find_toolchain(choice, python, report).cuda_home == path);
}

TEST_CASE("a toolkit's own libcuda stub is used where it has one") {
  CleanToolchain world;
  RecordingReporter report;
  ToolchainChoice choice;
  choice.cuda_home = planted_toolkit(world.home.path() / "cuda", "13.0.88");
  const fs::path stubs = *choice.cuda_home / "lib64" / "stubs";
  make_folders(stubs);
  const PythonEnv python = python_with_torch(world.home.path(), "2.11.0+cu130", {13, 0});
  CHECK(find_toolchain(choice, python, report).stubs.empty());
  write_file(stubs / "libcuda.so", "");
  CHECK(find_toolchain(choice, python, report).stubs == stubs);
}

TEST_CASE("an explicit toolkit that does not do is an error, never passed over") {
  CleanToolchain world;
  RecordingReporter report;
  const PythonEnv python = python_with_torch(world.home.path(), "2.11.0+cu130", {13, 0});
  ToolchainChoice choice;
  choice.cuda_home = planted_toolkit(world.home.path() / "cuda", "12.8.93");
  const std::string name = choice.cuda_home->string();
  CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                       says("error: the CUDA toolkit '" + name +
                            "' has CUDA 12.8, and torch 2.11.0+cu130 needs CUDA 13\n")
                           .hints("--cuda-home"));
  fs::remove(*choice.cuda_home / "lib64" / "libcudart.so");
  CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                       says("has no libcudart.so to link with")
                           .hints("ln -s libcudart.so.12 '" + name + "/lib/libcudart.so'"));
  executable_file(*choice.cuda_home / "bin" / "nvcc", "#!/bin/sh\nexit 1\n");
  CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                       says("has an nvcc that does not answer --version (exit status 1)"));
  fs::remove(*choice.cuda_home / "bin" / "nvcc");
  CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                       says("error: the CUDA toolkit '" + name + "' has no bin/nvcc\n"));
  choice.cuda_home = "/no/such/cuda";
  CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                       says("error: the CUDA toolkit '/no/such/cuda' does not exist\n"));
}

TEST_CASE("a torch built with CUDA 12 without such a toolkit is told what to install") {
  CleanToolchain world;
  RecordingReporter report;
  const PythonEnv python = python_with_torch(world.home.path(), "2.8.0+cu128", {12, 8});
  const fs::path newer = planted_toolkit(world.home.path() / "cuda", "13.0.88");
  const WithEnvironment env({{"CUDA_HOME", newer.string()}});
  ToolchainChoice choice;
  choice.cuda = Version{12, 8};  // so that a 12.x of this machine does not help
  CHECK_THROWS_MATCHES(
      find_toolchain(choice, python, report), Error,
      says("error: torch 2.8.0+cu128 needs a CUDA 12 toolkit, and none was found\n"
           "  caused by: '" +
           newer.string() + "' (CUDA_HOME) has CUDA 13.0, and torch 2.8.0+cu128 needs CUDA 12\n")
          .hints("use a torch built with CUDA 13, such as --torch 2.11.0"));
}

TEST_CASE("without any toolkit and without leave to make one, the error says so") {
  CleanToolchain world;
  RecordingReporter report;
  const PythonEnv python = python_with_torch(world.home.path(), "2.20.0+cu135", {13, 5});
  ToolchainChoice choice;
  choice.cuda = Version{13, 5};
  choice.create = false;
  CHECK_THROWS_MATCHES(
      find_toolchain(choice, python, report), Error,
      says("error: no CUDA 13 toolkit was found\n").hints("fetches one from PyPI"));
}

TEST_CASE("the host compiler is held against what this nvcc's own header accepts") {
  CleanToolchain world;
  RecordingReporter report;
  const fs::path bin = world.home.path() / "bin";
  const PythonEnv python = python_with_torch(world.home.path(), "2.11.0+cu130", {13, 0});
  ToolchainChoice choice;
  choice.cuda_home = planted_toolkit(world.home.path() / "cuda", "13.0.88", /*newest_gcc=*/11);
  CHECK(newest_host_major(*choice.cuda_home, false) == 11);
  CHECK(newest_host_major("/no/such", false) == 0);
  const auto pretend = [&](const std::string& name, int major) {
    return executable_file(bin / name,
                           fmt::format("#!/bin/sh\necho '#define __GNUC__ {}'\necho '#define "
                                       "__GNUC_MINOR__ 2'\necho '#define __GNUC_PATCHLEVEL__ 0'\n",
                                       major));
  };
  const fs::path too_new = pretend("g++", 12);
  const WithEnvironment env({{"PATH", bin.string() + ":/bin"}});

  SECTION("too new, and no other") {
    const std::string told = "error: '" + too_new.string() + "' is g++ 12.2.0, and the nvcc of '" +
                             choice.cuda_home->string() + "' takes 11 at most\n";
    CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                         says(told).hints(install_compiler(this_system(), 11)));
  }
  SECTION("too new, with an older one beside it") {
    const fs::path older = pretend("g++-10", 10);
    const Toolchain toolchain = find_toolchain(choice, python, report);
    CHECK(toolchain.host_compiler == older);
    CHECK(toolchain.host_version == Version{10, 2, 0});
    CHECK(report.any_has(report.notes, "using '" + older.string() + "'"));
  }
  SECTION("CC and CXX are followed, through a launcher") {
    pretend("g++-10", 10);
    pretend("g++-9", 9);
    const WithEnvironment cc({{"CC", "gcc-10"}});
    CHECK(find_toolchain(choice, python, report).host_version == Version{10, 2, 0});
    const WithEnvironment cxx({{"CXX", "ccache g++-9"}});
    CHECK(find_toolchain(choice, python, report).host_version == Version{9, 2, 0});
    const WithEnvironment named({{"CXX", "g++"}});  // named, so not replaced by an older one
    CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error, says("takes 11 at most"));
    const WithEnvironment missing({{"CXX", "g++-8"}});
    CHECK_THROWS_MATCHES(find_toolchain(choice, python, report), Error,
                         says("error: there is no C++ compiler 'g++-8' (CXX)\n")
                             .hints(install_compiler(this_system())));
  }
}

TEST_CASE("the real compiler is known by its macros") {
  const HostCompiler compiler = probe_host_compiler("/usr/bin/g++");
  Command command;
  command.argv = {"/usr/bin/g++", "-dumpfullversion"};
  CHECK(compiler.version.text() == trimmed(run(command).output));
  CHECK_FALSE(compiler.clang);
}

TEST_CASE("math headers that a toolkit lacks come from torch's packages") {
  CleanToolchain world;
  RecordingReporter report;
  const fs::path root = world.home.path();
  const PythonEnv python = python_with_torch(root / "env", "2.11.0+cu130", {13, 0});
  ToolchainChoice choice;
  choice.cuda_home = planted_toolkit(root / "cuda", "13.0.88");
  CHECK(find_toolchain(choice, python, report).include_folders.empty());
  const fs::path include = root / "env" / "site-packages" / "nvidia" / "cu13" / "include";
  make_folders(include);
  for (const char* header : {"cublas_v2.h", "cusparse.h", "cusolverDn.h"})
    write_file(include / header, "");
  CHECK(find_toolchain(choice, python, report).include_folders == std::vector<fs::path>{include});
  for (const char* header : {"cublas_v2.h", "cusparse.h", "cusolverDn.h"}) {
    write_file(*choice.cuda_home / "include" / header, "");
  }
  CHECK(find_toolchain(choice, python, report).include_folders.empty());
}

TEST_CASE("math headers of CUDA 12's packages lie in a folder each") {
  CleanToolchain world;
  RecordingReporter report;
  const fs::path root = world.home.path();
  ToolchainChoice choice;
  choice.cuda_home = planted_toolkit(root / "cuda", "12.8.93");
  std::vector<fs::path> expected;
  for (const auto& [package, header] :
       {std::pair("cublas", "cublas_v2.h"), std::pair("cusparse", "cusparse.h")}) {
    expected.push_back(root / "env" / "site-packages" / "nvidia" / package / "include");
    make_folders(expected.back());
    write_file(expected.back() / header, "");
  }
  const PythonEnv python = python_with_torch(root / "env", "2.8.0+cu128", {12, 8});
  CHECK(find_toolchain(choice, python, report).include_folders == expected);
}

TEST_CASE("an nvcc that is too old or too new for an architecture is refused") {
  Toolchain toolchain;
  toolchain.cuda_home = "/opt/cuda";
  toolchain.cuda = Version{12, 4};
  CHECK_NOTHROW(require_cuda_for(parse_arch_list("8.0 8.9 9.0a"), toolchain));
  CHECK_THROWS_MATCHES(require_cuda_for(parse_arch_list("8.0 12.0+PTX"), toolchain), Error,
                       says("error: nvcc 12.4 at '/opt/cuda' cannot build for 12.0\n"
                            "  caused by: 12.0 needs CUDA " +
                            first_cuda({12, 0}).text() + " or newer\n")
                           .hints("--cuda-home"));
  CHECK_THROWS_MATCHES(require_cuda_for(parse_arch_list("10.0 12.0"), toolchain), Error,
                       says("build for 10.0, 12.0\n"));
  toolchain.cuda = Version{13, 0};
  CHECK_NOTHROW(require_cuda_for(parse_arch_list("7.5 8.0 8.6 8.9 9.0 10.0 12.0"), toolchain));
  CHECK(why_not_built({7, 0}, toolchain.cuda) == "7.0 went away in CUDA 13.0");
  CHECK_THROWS_MATCHES(require_cuda_for(parse_arch_list("10.1"), toolchain), Error,
                       says("caused by: 10.1 went away in CUDA 13.0"));
}

TEST_CASE("the releases on PyPI name all five packages exactly") {
  REQUIRE(toolkit_release("13.0.2") != nullptr);
  CHECK(toolkit_release("13.0.2")->requirements() ==
        std::vector<std::string>{"nvidia-cuda-nvcc==13.0.88", "nvidia-nvvm==13.0.88",
                                 "nvidia-cuda-crt==13.0.88", "nvidia-cuda-runtime==13.0.96",
                                 "nvidia-cuda-cccl==13.0.85"});
  CHECK(toolkit_for({13, 3})->release == "13.3.1");
  CHECK(toolkit_for({13, 9})->release == "13.5.0");
  CHECK(toolkit_for({12, 8}) == nullptr);
  CHECK(toolkit_release("12.8.1") == nullptr);
}

}  // namespace sagebuild
