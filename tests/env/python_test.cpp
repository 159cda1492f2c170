#include "sagebuild/env/python.hpp"

#include "env/packages.hpp"
#include "env/planted.hpp"
#include "sagebuild/env/environments.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// No environment of the user and no kept one is seen.
struct CleanPython {
  TempDir home{"sagebuild-env-test"};
  WithEnvironment env{
      {{"VIRTUAL_ENV", std::nullopt}, {"SAGEBUILD_CACHE_DIR", home.path().string()}}};
};

}  // namespace

TEST_CASE("a real interpreter says what it is, with torch read and not imported") {
  const TempDir folder("sagebuild-env-test");
  Command venv;
  venv.argv = {"python3", "-m", "venv", "--without-pip", (folder.path() / "venv").string()};
  run_checked(venv, "cannot make the test's venv");
  const PythonEnv bare = probe_python(folder.path() / "venv");
  CHECK(bare.executable == folder.path() / "venv" / "bin" / "python");
  CHECK_FALSE(bare.torch);
  CHECK(bare.setuptools.empty());
  CHECK(bare.tag == "cp" + std::string(bare.soabi).substr(8, bare.soabi.find('-', 8) - 8));
  CHECK(bare.has_headers == fs::exists(bare.include / "Python.h"));
  CHECK(bare.site_packages.string().starts_with((folder.path() / "venv").string()));

  // A torch whose import would fail: only its version.py and its CMake file may be read.
  const fs::path torch = bare.site_packages / "torch";
  make_folders(torch / "share" / "cmake" / "Torch");
  write_file(torch / "__init__.py", "raise RuntimeError('imported')\n");
  write_file(torch / "version.py", "__version__ = '2.6.0+cu124'\ncuda = '12.4'\n");
  write_file(torch / "share" / "cmake" / "Torch" / "TorchConfig.cmake",
             "set(TORCH_CXX_FLAGS \"-D_GLIBCXX_USE_CXX11_ABI=0\")\n");
  const PythonEnv with_torch = probe_python(folder.path() / "venv");
  REQUIRE(with_torch.torch);
  CHECK(with_torch.torch->version == "2.6.0+cu124");
  CHECK(with_torch.torch->number == Version{2, 6, 0});
  CHECK(with_torch.torch->cuda == Version{12, 4});
  CHECK(with_torch.torch->root == torch);
  CHECK_FALSE(with_torch.torch->cxx11_abi);

  fs::remove(torch / "share" / "cmake" / "Torch" / "TorchConfig.cmake");
  CHECK_THROWS_MATCHES(
      probe_python(folder.path() / "venv"), Error,
      says("torch 2.6.0+cu124 in '" + bare.executable.string() + "' cannot be imported"));
  write_file(torch / "version.py", "__version__ = '2.7.0'\ncuda = None\n");
  const PythonEnv newer = probe_python(folder.path() / "venv");
  CHECK(newer.torch->cxx11_abi);
  CHECK(newer.torch->cuda.empty());
}

TEST_CASE("what is no interpreter is refused by name") {
  const TempDir folder("sagebuild-env-test");
  CHECK_THROWS_MATCHES(
      probe_python("/no/such/python"), Error,
      says("error: there is no Python at '/no/such/python'\n").hints(".venv/bin/python"));
  CHECK_THROWS_MATCHES(probe_python("no-such-python"), Error,
                       says("there is no Python at 'no-such-python'"));
  CHECK_THROWS_MATCHES(probe_python(folder.path()), Error, says("is a folder without bin/python"));
  const auto broken =
      executable_file(folder.path() / "broken", "#!/bin/sh\necho 'no module' >&2\nexit 3\n");
  CHECK_THROWS_MATCHES(probe_python(broken), Error,
                       says("does not work as a Python interpreter: exit status 3"));
  const auto mute = executable_file(folder.path() / "mute", "#!/bin/sh\necho hello\n");
  CHECK_THROWS_MATCHES(probe_python(mute), Error, says("does not answer as a Python interpreter"));
  CHECK_THROWS_MATCHES(probe_python(mute), Error, says("caused by: hello"));
}

TEST_CASE("each part that a build lacks is named, with the command that brings it") {
  CleanPython world;
  RecordingReporter report;
  SaidByPython said;
  const fs::path folder = world.home.path() / "p";
  const std::string python = (folder / "bin" / "python").string();
  PythonChoice choice;
  choice.path = folder;

  SECTION("nothing missing") {
    planted_python(folder, said);
    CHECK(predict_python(choice, report).python.executable == python);
  }
  SECTION("headers") {
    said.headers = false;
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("error: Python 3.11.7 at '" + python +
                              "' has no headers ('/planted/include/Python.h')\n")
                             .hints(install_python_headers(this_system(), "3.11")));
  }
  SECTION("torch") {
    said.torch = "";
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("error: torch is not installed in '" + python + "'\n")
                             .hints(install_into(this_system(), python, false) + "torch==2.11.0"));
  }
  SECTION("a torch without CUDA") {
    said.torch = "2.11.0+cpu";
    said.cuda = "";
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("error: torch 2.11.0+cpu in '" + python + "' is built without CUDA\n")
                             .hints("torch==2.11.0"));
  }
  SECTION("setuptools") {
    said.setuptools = "";
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(
        predict_python(choice, report), Error,
        says("error: setuptools is not installed in '" + python + "'\n")
            .hints(install_into(this_system(), python, false) + "'setuptools<82'"));
  }
  SECTION("wheel, unless setuptools brings bdist_wheel itself") {
    said.wheel = "";
    planted_python(folder, said);
    CHECK_NOTHROW(predict_python(choice, report));
    said.setuptools = "69.5.1";
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("error: wheel is not installed in '" + python + "'\n"));
  }
  SECTION("several at once are one error") {
    said.headers = false;
    said.torch = "";
    planted_python(folder, said);
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("'" + python + "' cannot build CUDA extensions"));
    CHECK_THROWS_MATCHES(predict_python(choice, report), Error,
                         says("caused by: torch is not installed"));
  }
}

TEST_CASE("the Python is --python, else the active environment, else a kept one that fits") {
  CleanPython world;
  RecordingReporter report;
  const fs::path kept = world.home.path() / "envs" / "kept";
  planted_python(kept, {});
  const fs::path marker = kept / "sagebuild-env.json";

  CHECK_FALSE(existing_python({}, report));  // half-made: no marker
  write_file(
      marker,
      R"({"schema": "sagebuild-env/1", "python": "3.11.7", "torch": "2.11.0+cu130", "cuda": "13.0"})");
  REQUIRE(existing_python({}, report));
  CHECK(existing_python({}, report)->origin == "environment kept");
  PythonChoice other;
  other.torch = "2.12";
  CHECK_FALSE(existing_python(other, report));
  other.torch = "2.11";
  other.python = "3.11";
  other.cuda = "13.0";
  CHECK(existing_python(other, report));
  other.cuda = "12.8";
  CHECK_FALSE(existing_python(other, report));

  const fs::path active = world.home.path() / "active";
  SaidByPython older;
  older.torch = "2.9.0+cu130";
  planted_python(active, older);
  const WithEnvironment activated({{"VIRTUAL_ENV", active.string()}});
  CHECK(existing_python({}, report)->origin == "VIRTUAL_ENV");
  PythonChoice newer;
  newer.torch = "2.11.0";
  CHECK(existing_python(newer, report)->origin == "environment kept");
  CHECK(report.any_has(report.notes, "passing over the active environment '" + active.string() +
                                         "': it has torch 2.9.0+cu130, not 2.11.0"));
  newer.path = active;
  CHECK_THROWS_MATCHES(existing_python(newer, report), Error,
                       says("has torch 2.9.0+cu130, not 2.11.0"));
  newer.torch = "";
  newer.python = "3.12";
  CHECK_THROWS_MATCHES(existing_python(newer, report), Error, says("is Python 3.11.7, not 3.12"));
}

TEST_CASE("without uv on PATH, the one that make demo fetched into the cache folder is used") {
  CleanPython world;
  RecordingReporter report;
  executable_file(world.home.path() / "tools" / "bin" / "uv",
                  "#!/bin/sh\n[ $1 = --version ] || { echo \"the fetched uv: $1\"; exit 1; }\n");
  const WithEnvironment no_uv({{"PATH", "/usr/bin:/bin"}});
  EnvironmentRequest request;
  request.torch = "";
  CHECK_THROWS_MATCHES(create_environment(request, report), Error, says("the fetched uv: venv"));
}

TEST_CASE("nothing is installed into the system's own Python") {
  // Debian's has the marker of PEP 668 since 12.
  const fs::path system = "/usr/bin/python3";
  Command marker;
  marker.argv = {system.string(), "-c",
                 "import os, sysconfig\n"
                 "open(os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED'))"};
  if (!run(marker).ok()) SKIP_HERE("the Python of this system is nobody's own");
  CHECK_THROWS_MATCHES(require_place(system), Error, says("PEP 668").hints("--python"));
  const TempDir folder("sagebuild-env-test");
  Command venv;
  venv.argv = {system.string(), "-m", "venv", "--without-pip", folder.path().string()};
  run_checked(venv, "cannot make the test's venv");
  CHECK_NOTHROW(require_place(folder.path() / "bin" / "python"));
}

TEST_CASE("an installer that reached nobody, or might not, knows of no missing version") {
  const CleanPython clean;
  const fs::path uv = clean.home.path() / "bin" / "uv";
  const WithEnvironment path({{"PATH", uv.parent_path().string() + ":/usr/bin:/bin"}});
  const auto install = [&](const std::string& words, bool offline) -> Error {
    write_file(uv, "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho '" + words + "'\nexit 1\n");
    fs::permissions(uv, fs::perms::owner_all);
    try {
      PackageJob job;
      job.what = "torch 9";
      job.python = "python3";
      job.requirements = {"torch==9"};
      job.offline = offline;
      job.log = clean.home.path() / "log";
      install_packages(job);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::bug, "no error");
  };
  const std::string none = "No matching distribution found (from versions: none)";
  CHECK(install("after connection broken by X: Connection refused. " + none, false).kind ==
        ErrorKind::network);
  CHECK(install(none, false).hint.find("--index-url") != std::string::npos);
  CHECK(install(none, true).hint.find("--offline") != std::string::npos);
}

}  // namespace sagebuild
