#include "sagebuild/env/doctor.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "env/planted.hpp"
#include "sagebuild/base/scope.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGiga = 1'000'000'000;

struct DoctorWorld {
  TempDir home{"sagebuild-env-test"};
  WithEnvironment env{{"SAGEBUILD_CACHE_DIR", (home.path() / "cache").string()},
                      {"VIRTUAL_ENV", std::nullopt},
                      {"CXX", std::nullopt},
                      {"CC", std::nullopt},
                      {"NVCC_CCBIN", std::nullopt}};
  RecordingReporter report;
  DoctorRequest request;
  Machine machine{/*memory=*/32 * kGiga, /*cores=*/4, /*free_disk=*/100 * kGiga, /*glibc=*/{2, 36},
                  System{"apt-get", "debian12", "3.11", {2, 36}, true}};
  std::string unreachable;  // what the network says

  DoctorWorld() {
    request.python.path = home.path() / "python";
    request.toolchain.cuda_home = planted_toolkit(home.path() / "cuda", "13.0.88");
    planted_python(*request.python.path, {});
  }
  std::vector<Diagnosis> look() {
    return diagnose(
        request, machine, [this](const std::string&) { return unreachable; }, report);
  }
  Diagnosis finding(Check check) {
    for (const auto& one : look()) {
      if (one.check == check) return one;
    }
    FAIL("no finding about " << name_of(check));
    return {};
  }
};

}  // namespace

TEST_CASE("a machine that can build has one finding per check, none of them an error") {
  DoctorWorld world;
  world.request.source_url = "https://example.org/x";
  world.request.archs = parse_arch_list("8.0 12.0");
  std::vector<std::string> checks;
  for (const auto& finding : world.look()) {
    checks.emplace_back(name_of(finding.check));
    INFO(name_of(finding.check) << ": " << finding.detail);
    CHECK((finding.health == Health::ok) == (finding.check != Check::ninja));
    CHECK((finding.health == Health::ok) == finding.fix_command.empty());
    CHECK_FALSE(finding.detail.empty());
  }
  CHECK(checks == std::vector<std::string>{"python", "python headers", "torch", "setuptools",
                                           "wheel", "ninja", "cuda toolkit", "architectures",
                                           "host compiler", "glibc", "disk", "memory", "network"});
}

TEST_CASE("each missing part of the Python is an error with its command") {
  DoctorWorld world;
  SaidByPython said;
  const auto replant = [&] { planted_python(*world.request.python.path, said); };
  const std::string install =
      "uv pip install --python " + (*world.request.python.path / "bin" / "python").string();

  said.headers = false;
  said.torch = "";
  said.setuptools = "";
  said.wheel = "";
  replant();
  CHECK(world.finding(Check::python_headers).health == Health::error);
  CHECK(world.finding(Check::python_headers).fix_command == "apt-get install python3-dev");
  CHECK(world.finding(Check::torch).health == Health::error);
  CHECK(world.finding(Check::torch).fix_command == install + " torch==2.11.0");
  CHECK(world.finding(Check::setuptools).fix_command == install + " 'setuptools<82'");
  CHECK(world.finding(Check::wheel).fix_command == install + " wheel");
  CHECK(world.finding(Check::ninja).health == Health::warning);

  world.request.python.path = "/no/such/python";
  CHECK(world.finding(Check::python).health == Health::error);
  CHECK(world.finding(Check::python).fix_command == "sagebuild env create --torch 2.11.0");

  world.request.python.path.reset();
  world.request.python.python = "3.12";
  executable_file(world.home.path() / "bin" / "uv", "#!/bin/sh\n");  // which fetches any Python
  const WithEnvironment path({{"PATH", (world.home.path() / "bin").string() + ":/usr/bin:/bin"}});
  CHECK(world.finding(Check::python).health == Health::warning);
  CHECK(world.finding(Check::python).fix_command ==
        "sagebuild env create --python 3.12 --torch 2.11.0");
}

TEST_CASE("a toolkit of another major, an old nvcc and a new compiler are errors") {
  DoctorWorld world;
  world.request.archs = parse_arch_list("12.0");
  SaidByPython said;
  said.torch = "2.8.0+cu128";
  said.cuda = "12.8";
  planted_python(*world.request.python.path, said);
  CHECK(world.finding(Check::cuda_toolkit).health == Health::error);
  CHECK(world.finding(Check::cuda_toolkit)
            .detail.find("has CUDA 13.0, and torch 2.8.0+cu128 needs CUDA 12") !=
        std::string::npos);

  planted_toolkit(*world.request.toolchain.cuda_home, "12.4.131", /*newest_gcc=*/5);
  CHECK(world.finding(Check::cuda_toolkit).health == Health::ok);
  CHECK(world.finding(Check::architectures).health == Health::error);
  CHECK(world.finding(Check::architectures).detail.find("12.0 needs CUDA 12.8") !=
        std::string::npos);
  CHECK(world.finding(Check::host_compiler).health == Health::error);
  CHECK(world.finding(Check::host_compiler).fix_command ==
        "apt-get install g++-5 && export CXX=g++-5");
}

TEST_CASE("a bare machine is told what it lacks, with commands that work on it") {
  DoctorWorld world;
  world.request.python.path.reset();
  world.request.toolchain.cuda_home.reset();
  make_folders(world.home.path() / "empty");
  const WithEnvironment path({{"PATH", (world.home.path() / "empty").string()},
                              {"CUDA_HOME", std::nullopt},
                              {"CUDA_PATH", std::nullopt}});
  const auto python = world.finding(Check::python);
  CHECK(python.health == Health::error);
  CHECK(python.detail == "there is no Python 3 on PATH");
  CHECK_FALSE(python.fix_command.empty());
  CHECK(world.finding(Check::host_compiler).health == Health::error);
  CHECK(world.finding(Check::host_compiler).detail == "there is no C++ compiler 'g++'");
  for (const Diagnosis& finding : world.look()) {
    INFO(name_of(finding.check) << ": " << finding.detail << ": " << finding.fix_command);
    CHECK(finding.detail.find("CUDA 0") == std::string::npos);
    CHECK(finding.fix_command.find("CUDA 0") == std::string::npos);
  }
}

TEST_CASE("a command that mends fits the system") {
  const System debian12{"apt-get", "debian12", "3.11", {2, 36}, false};
  const System debian13{"apt-get", "debian13", "3.13", {2, 41}, false};
  const System fedora{"dnf", "fedora42", "3.13", {2, 41}, true};
  CHECK(install_compiler(debian12) == "apt-get install g++");
  CHECK(install_compiler(fedora) == "dnf install gcc-c++");
  CHECK(install_python(debian12, "3.11") == "apt-get install python3 python3-venv python3-dev");
  CHECK(install_python(debian13, "") == "apt-get install python3 python3-venv python3-dev");
  // Debian 13 has no package python3.11-venv.
  CHECK(install_python(debian13, "3.11").find("astral.sh/uv/install.sh") != std::string::npos);
  CHECK(install_python(fedora, "3.11") == "uv python install 3.11");
  CHECK(install_python_headers(debian13, "3.11") == "sagebuild env create --python 3.11");
  CHECK(install_into(debian12, "/x/python", false) ==
        "/x/python -m ensurepip && /x/python -m pip install ");
  CHECK(install_into(fedora, "/x/python", false) == "uv pip install --python /x/python ");
  CHECK(install_cuda(debian12, {12, 8})
            .find("https://developer.download.nvidia.com/compute/cuda/repos/debian12/") !=
        std::string::npos);
  CHECK(install_cuda(debian12, {12, 8}).ends_with("apt-get install cuda-toolkit-12-8"));
  CHECK(glibc_fit({2, 41}, {12, 8}) == GlibcFit::clashes);
}

TEST_CASE("an environment is proposed only as it can be made") {
  DoctorWorld world;
  world.request.python.path.reset();
  world.request.python.cuda = "12.8";
  executable_file(world.home.path() / "bin" / "uv", "#!/bin/sh\n");
  const WithEnvironment path({{"PATH", (world.home.path() / "bin").string() + ":/usr/bin:/bin"}});
  // PyPI's torch 2.11 is built with 13.0: `env create --cuda 12.8` alone is refused.
  CHECK(world.finding(Check::python).health == Health::error);
  CHECK(world.finding(Check::python)
            .fix_command.find("--index-url https://download.pytorch.org/whl/cu128") !=
        std::string::npos);
  world.request.python.torch = "2.8.0";
  CHECK(world.finding(Check::python).fix_command ==
        "sagebuild env create --torch 2.8.0 --cuda 12.8");
}

TEST_CASE("glibc is held against the CUDA headers that clash with it") {
  DoctorWorld world;
  const auto health = [&](const Version& glibc) {
    world.machine.glibc = glibc;
    return world.finding(Check::glibc).health;
  };
  CHECK(health({2, 41}) == Health::ok);
  CHECK(health({2, 42}) == Health::warning);
  // Not `build --cuda 13.2`, which refuses: no torch is built with it.
  CHECK(world.finding(Check::glibc)
            .fix_command.ends_with("apt-get install cuda-toolkit-13-2 && sagebuild build "
                                   "--cuda-home /usr/local/cuda-13.2"));
  planted_toolkit(*world.request.toolchain.cuda_home, "13.2.86");
  CHECK(health({2, 42}) == Health::ok);

  SaidByPython said;
  said.torch = "2.8.0+cu128";
  said.cuda = "12.8";
  planted_python(*world.request.python.path, said);
  planted_toolkit(*world.request.toolchain.cuda_home, "12.8.93");
  CHECK(health({2, 40}) == Health::ok);
  CHECK(health({2, 41}) == Health::error);
}

TEST_CASE("a cache folder that cannot be made is an error") {
  DoctorWorld world;
  write_file(world.home.path() / "file", "");
  const std::string place = (world.home.path() / "file/cache").string();
  const WithEnvironment elsewhere({{"SAGEBUILD_CACHE_DIR", place}});
  const Diagnosis finding = world.finding(Check::cache_folder);
  CHECK(finding.health == Health::error);
  CHECK(finding.detail.find(place) != std::string::npos);
}

TEST_CASE(
    "too little disk or memory is a warning, and an error where an environment has to be made") {
  DoctorWorld world;
  world.machine.free_disk = kGiga;
  CHECK(world.finding(Check::disk).health == Health::warning);
  world.machine.free_disk = 5 * kGiga;
  CHECK(world.finding(Check::disk).health == Health::ok);
  world.request.python.path.reset();
  CHECK(world.finding(Check::disk).health == Health::error);

  CHECK(world.finding(Check::memory).detail == "32.0 GB for 4 jobs, 8.0 GB each");
  world.machine.memory = 5 * kGiga;
  CHECK(world.finding(Check::memory).health == Health::ok);
  CHECK(world.finding(Check::memory).detail.find("not with torch's full ones") !=
        std::string::npos);
  world.request.jobs = 8;
  CHECK(world.finding(Check::memory).health == Health::warning);
  CHECK(world.finding(Check::memory).fix_command == "sagebuild build -j 5");
}

TEST_CASE("the network is asked only for a source that is elsewhere") {
  DoctorWorld world;
  world.unreachable = "'example.org:443' cannot be reached: it is the test";
  world.request.source_url = "https://example.org/x";
  CHECK(world.finding(Check::network).health == Health::error);
  CHECK(world.finding(Check::network).detail == world.unreachable);
  world.request.python.offline = true;
  CHECK(world.finding(Check::network).health == Health::ok);
  world.request.source_url = "file:///tmp/x";
  CHECK(std::ranges::none_of(world.look(),
                             [](const auto& one) { return one.check == Check::network; }));
}

TEST_CASE("an address is reached by connecting to its host") {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(server >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(server, any, size) == 0);
  REQUIRE(::getsockname(server, any, &size) == 0);
  const std::string place = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  {
    const ScopeExit close_it([&] { ::close(server); });
    REQUIRE(::listen(server, 4) == 0);
    CHECK(network_reach("git://user@" + place + "/a/b.git").empty());
    CHECK(network_reach("git+ssh://me@" + place + "/a/b").empty());
  }
  const std::string refused = network_reach("git://" + place);
  CHECK_THAT(refused, Catch::Matchers::StartsWith("'" + place + "' cannot be reached: "));
  CHECK_THAT(refused, Catch::Matchers::EndsWith("(Connection refused)"));
  CHECK(network_reach("nonsense") == "'nonsense' names no host");
}

}  // namespace sagebuild
