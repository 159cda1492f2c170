#include <fmt/format.h>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/probe/ninja_file.hpp"
#include "sagebuild/probe/record_setup.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// As torch.utils.cpp_extension writes it, with the escapes that odd paths get.
constexpr std::string_view kTorchNinja = R"(ninja_required_version = 1.3
cxx = c++
nvcc = /opt/cuda/bin/nvcc

cflags = -pthread -B /x/compiler$ dir -DA="b c" -fPIC
post_cflags = -O3 -DTORCH_EXTENSION_NAME=_fused
cuda_cflags = -I/tree/include
cuda_post_cflags = -O3 -gencode arch=compute_80,code=sm_80
ldflags =

rule compile
  command = $cxx -MMD -MF $out.d $cflags -c $in -o $out $post_cflags
  depfile = $out.d
  deps = gcc

rule cuda_compile
  depfile = $out.d
  deps = gcc
  command = ${nvcc} --generate-dependencies-with-compile --dependency-output $out.d $cuda_cflags -c $in -o $out $
      $cuda_post_cflags

build /tree/my$ build/bind.o: compile /tree/my$ src/bind.cpp
build /tree/o/cost$$.o: cuda_compile /tree/cost$$.cu

default /tree/o/cost$$.o
)";

}  // namespace

TEST_CASE("the ninja files that torch writes are read into commands") {
  const auto builds = parse_ninja(kTorchNinja, "build.ninja");
  REQUIRE(builds.size() == 2);
  CHECK(builds[0].inputs == std::vector<std::string>{"/tree/my src/bind.cpp"});
  CHECK(builds[0].command ==
        "c++ -MMD -MF '/tree/my build/bind.o'.d -pthread -B /x/compiler dir -DA=\"b c\" -fPIC -c "
        "'/tree/my "
        "src/bind.cpp' -o "
        "'/tree/my build/bind.o' -O3 -DTORCH_EXTENSION_NAME=_fused");
  CHECK(builds[1].outputs == std::vector<std::string>{"/tree/o/cost$.o"});
  CHECK(builds[1].command.starts_with("/opt/cuda/bin/nvcc --generate-dependencies-with-compile"));
  CHECK(builds[1].command.ends_with(
      "-c '/tree/cost$.cu' -o '/tree/o/cost$.o' -O3 -gencode arch=compute_80,code=sm_80"));
}

TEST_CASE("what a ninja file may not hold is named with its line") {
  CHECK_THROWS_MATCHES(parse_ninja("rule a\n  command = x\nbuild o: b i\n", "n"), Error,
                       says("n:3: unknown rule 'b'"));
  CHECK_THROWS_MATCHES(parse_ninja("subninja other.ninja\n", "n"), Error,
                       says("n:1: not understood"));
  CHECK_THROWS_MATCHES(parse_ninja("  stray = 1\n", "n"), Error, says("n:1: an indented line"));
  CHECK_THROWS_MATCHES(
      parse_ninja("rule a\n  command = $b\n  b = $b\nbuild o: a i\n  b = $b\n", "n"), Error,
      says("refers to itself"));
}

namespace {

// A project whose setup.py does what it is told, with a stand-in for torch's part: it writes a
// build.ninja, runs ninja and links.
struct Project {
  TempDir folder;
  PythonEnv python;
  Toolchain toolchain;
  RecordingReporter report;

  Project() {
    python.executable = *find_program("python3");
    toolchain.host_compiler = *find_program("g++");
    toolchain.nvcc = "/opt/cuda/bin/nvcc";
    toolchain.cuda_home = "/opt/cuda";
  }
  RecordedBuild record(std::string_view setup_py) {
    write_file(folder.path() / "p" / "setup.py", setup_py);
    fs::remove_all(folder.path() / "work");
    return record_setup({folder.path() / "p", "8.0;9.0", folder.path() / "work"}, python, toolchain,
                        report);
  }
};

constexpr std::string_view kSetup = R"(
import os, subprocess, sys
here = os.getcwd()
wheel = sys.argv[sys.argv.index("--dist-dir") + 1]
os.makedirs("build/temp"); os.makedirs("build/lib.linux-x86_64-cpython-311/pkg"); os.makedirs(wheel)
open("build/temp/build.ninja", "w").write(f"""
rule cuda_compile
  command = /opt/cuda/bin/nvcc --dependency-output $out.d -ccbin {os.environ['CC']} '-Xcompiler' "'-fPIC'" -c $in -o $out -O3 -gencode arch=compute_80,code=sm_80
build {here}/build/temp/a.o: cuda_compile {here}/a.cu
""")
assert os.environ["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0"
subprocess.check_call(["ninja", "--version"])
subprocess.check_call(["ninja", "-v"], cwd="build/temp")
subprocess.check_call([os.environ["CXX"], "-dumpfullversion"])
so = "build/lib.linux-x86_64-cpython-311/pkg/_a.cpython-311-x86_64-linux-gnu.so"
subprocess.check_call([os.environ["CXX"], "-shared", "build/temp/a.o", "-L/lib", "-lc10", "-o", so])
assert os.path.getsize(so) == 0
open(wheel + "/pkg-1.0-cp311-cp311-linux_x86_64.whl", "w").close()
)";

// As BuildExtension does it: per extension one build.ninja for one folder of objects, then its
// link. @FIRST@ and
// @SECOND@ are sources.
constexpr std::string_view kTwoExtensions = R"(
import os, subprocess, sys
here = os.getcwd()
wheel = sys.argv[sys.argv.index("--dist-dir") + 1]
os.makedirs("build/temp"); os.makedirs("build/lib.linux-x86_64-cpython-311"); os.makedirs(wheel)
def extension(name, *sources):
    objects = [f"{here}/build/temp/{os.path.splitext(source)[0]}.o" for source in sources]
    with open("build/temp/build.ninja", "w") as out:
        out.write(f"rule cuda_compile\n  command = /opt/cuda/bin/nvcc -c $in -o $out -DNAME={name}\n")
        for source, target in zip(sources, objects):
            out.write(f"build {target}: cuda_compile {here}/{source}\n")
    subprocess.check_call(["ninja", "-v"], cwd="build/temp")
    so = f"build/lib.linux-x86_64-cpython-311/{name}.so"
    subprocess.check_call([os.environ["CXX"], "-shared", *objects, "-o", so])
extension("_first", "common.cu", "@FIRST@")
extension("_second", "common.cu", "@SECOND@")
open(wheel + "/pkg-1.0-cp311-cp311-linux_x86_64.whl", "w").close()
)";

std::string two_extensions(std::string_view first, std::string_view second) {
  return replaced(replaced(std::string(kTwoExtensions), "@FIRST@", first), "@SECOND@", second);
}

}  // namespace

TEST_CASE(
    "setup.py is recorded: sources, flags, link line and wheel, with the real compiler in place of "
    "the stand-in") {
  Project project;
  const RecordedBuild build = project.record(kSetup);
  REQUIRE(build.modules.size() == 1);
  const RecordedModule& module = build.modules[0];
  CHECK(module.name == "pkg._a");
  CHECK(module.output == "pkg/_a.cpython-311-x86_64-linux-gnu.so");
  CHECK(module.link.front() == project.toolchain.host_compiler);
  REQUIRE(module.sources.size() == 1);
  CHECK(module.sources[0].language == Language::cuda);
  CHECK(module.sources[0].source == fs::canonical(project.folder.path()) / "p/a.cu");
  CHECK(module.sources[0].argv == std::vector<std::string>{"/opt/cuda/bin/nvcc", "-ccbin",
                                                           project.toolchain.host_compiler.string(),
                                                           "-Xcompiler", "-fPIC", "-O3", "-gencode",
                                                           "arch=compute_80,code=sm_80"});
  CHECK(build.wheel.filename() == "pkg-1.0-cp311-cp311-linux_x86_64.whl");
}

TEST_CASE("a source that two extensions have in common is compiled by each one's own command") {
  Project project;
  const RecordedBuild build = project.record(two_extensions("a.cu", "b.cu"));
  REQUIRE(build.modules.size() == 2);
  const auto shown = [](const RecordedModule& module) {
    std::string text = module.name;
    for (const auto& source : module.sources)
      text += fmt::format(" {} {}", source.source.filename().string(), source.argv.back());
    return text;
  };
  CHECK(shown(build.modules[0]) == "_first common.cu -DNAME=_first a.cu -DNAME=_first");
  CHECK(shown(build.modules[1]) == "_second common.cu -DNAME=_second b.cu -DNAME=_second");
}

TEST_CASE("two extensions that compile a common source at the same time are refused") {
  // Both compile before the first one links, as with several extensions at once.
  const std::string link = "    so = f\"build/lib";
  std::string program = two_extensions("a.cu", "b.cu");
  program = replaced(std::move(program), link, "    yield\n" + link);
  program = replaced(std::move(program), "extension(\"_first\"", "first = extension(\"_first\"");
  program = replaced(std::move(program), "extension(\"_second\"", "second = extension(\"_second\"");
  program = replaced(std::move(program), "open(wheel",
                     "next(first); next(second); list(first); list(second)\nopen(wheel");
  Project project;
  CHECK_THROWS_MATCHES(project.record(program), Error,
                       says("two extensions compile 'common.cu' into one object file"));
}

TEST_CASE(
    "two sources of one extension that setuptools compiles to one object are refused before "
    "anything is built") {
  Project project;
  CHECK_THROWS_MATCHES(
      project.record(two_extensions("a.cu", "common.cpp")), Error,
      says("'common.cu' and 'common.cpp' of one extension are compiled to one object file"));
  Project other;
  CHECK_THROWS_MATCHES(other.record(two_extensions("a.cu", "common.cu")), Error,
                       says("one extension has 'common.cu' twice"));
}

TEST_CASE("a compiler cache that torch 2.13 puts in front of the compilers is taken away") {
  const auto recorded = [](const std::string& setup) {
    return Project().record(setup).modules.at(0).sources.at(0).argv;
  };
  const auto plain = recorded(std::string(kSetup));
  for (const std::string launcher : {"ccache ", "/usr/bin/sccache "}) {
    const std::string wrapped =
        replaced(std::string(kSetup), "command = ", "command = " + launcher);
    CHECK(recorded(wrapped) == plain);
  }
}

namespace {

// What torch does with use_ninja=False: nvcc of CUDA_HOME and the compiler, each by itself, and a
// probe before.
constexpr std::string_view kWithoutNinja = R"(
import os, subprocess, sys
wheel = sys.argv[sys.argv.index("--dist-dir") + 1]
temp = "build/temp.linux-x86_64-cpython-311"
os.makedirs(temp); os.makedirs(wheel)
nvcc = os.path.join(os.environ["CUDA_HOME"], "bin", "nvcc")
assert subprocess.check_output([nvcc, "-V"]) == b"release 13.0\n"
assert open(os.path.join(os.environ["CUDA_HOME"], "version.json")).read() == "{}"
open("probe.c", "w").write("int x;")
subprocess.check_call([os.environ["CC"], "-c", "probe.c", "-o", "probe.o"])
assert os.path.getsize("probe.o") > 0
include = "-I" + os.path.join(os.environ["CUDA_HOME"], "include")  # of with_options(use_ninja=False)
subprocess.check_call([nvcc, include, "-c", "k.cu", "-o", temp + "/k.o", "-O3", "-ccbin", os.environ["CC"]])
subprocess.check_call([os.environ["CXX"], "-DA=1", "-c", "b.cpp", "-o", temp + "/b.o"])
assert os.path.getsize(temp + "/k.o") == os.path.getsize(temp + "/b.o") == 0
subprocess.check_call([os.environ["CXX"], "-shared", temp + "/k.o", temp + "/b.o", "-o", "_a.so"])
open(wheel + "/pkg-1.0-cp311-cp311-linux_x86_64.whl", "w").close()
)";

// A toolkit whose nvcc says its version and refuses to do more.
void plant_toolkit(const fs::path& home) {
  make_folders(home / "bin");
  write_file(home / "version.json", "{}");
  write_file(home / "bin" / "nvcc", "#!/bin/sh\n[ \"$1\" = -V ] && echo 'release 13.0'\n");
  fs::permissions(home / "bin" / "nvcc", fs::perms::owner_all);
}

}  // namespace

TEST_CASE(
    "what is compiled without ninja is recorded like the rest, with the real toolkit's names") {
  Project project;
  const fs::path home = project.folder.path() / "toolkit";
  plant_toolkit(home);
  project.toolchain.cuda_home = home;
  project.toolchain.nvcc = home / "bin" / "nvcc";
  const std::string gxx = project.toolchain.host_compiler;
  const RecordedBuild build = project.record(kWithoutNinja);
  REQUIRE(build.modules.size() == 1);
  REQUIRE(build.modules[0].sources.size() == 2);
  const RecordedSource& kernel = build.modules[0].sources[0];
  CHECK(kernel.language == Language::cuda);
  CHECK(kernel.source == fs::canonical(project.folder.path()) / "p/k.cu");
  CHECK(kernel.argv == std::vector<std::string>{home / "bin/nvcc",
                                                "-I" + (home / "include").string(), "-O3", "-ccbin",
                                                gxx});
  const RecordedSource& binding = build.modules[0].sources[1];
  CHECK(binding.language == Language::cxx);
  CHECK(binding.argv == std::vector<std::string>{gxx, "-DA=1"});

  // What was only written down and goes nowhere would be lost; a probe that was done is not missed.
  const std::string unlinked =
      replaced(std::string(kWithoutNinja), "temp + \"/k.o\", temp + \"/b.o\", \"-o\"",
               "temp + \"/k.o\", \"-o\"");
  fs::remove_all(project.folder.path() / "p");
  CHECK_THROWS_MATCHES(project.record(unlinked), Error, says("b.cpp' but links it into nothing"));
}

TEST_CASE("a setup.py that is missing, fails, or builds in another way is told plainly") {
  Project project;
  CHECK_THROWS_MATCHES(project.record("import nothing_of_that_name\n"), Error,
                       says("No module named 'nothing_of_that_name'"));
  CHECK_THROWS_MATCHES(project.record("def (\n"), Error, says("SyntaxError"));
  CHECK_THROWS_MATCHES(project.record("pass\n"), Error, says("setup.py made 0 wheels"));
  const std::string other = R"(
import os, subprocess, sys
wheel = sys.argv[sys.argv.index("--dist-dir") + 1]
os.makedirs(wheel)
open("a.c", "w").write("int x;")
subprocess.check_call(["gcc", "-c", "a.c", "-o", "a.o"])
subprocess.check_call([os.environ["CC"], "-shared", "a.o", "-o", "_a.so"])
open(wheel + "/pkg-1.0-cp311-cp311-linux_x86_64.whl", "w").close()
)";
  CHECK_THROWS_MATCHES(project.record(other), Error,
                       says("in a way that sagebuild does not understand")
                           .hints("no build step of the project's own"));
  fs::remove(project.folder.path() / "p" / "setup.py");
  const RecordSettings settings{project.folder.path() / "p", "8.0", project.folder.path() / "w2"};
  CHECK_THROWS_MATCHES(record_setup(settings, project.python, project.toolchain, project.report),
                       Error, says("there is no setup.py"));
}

}  // namespace sagebuild
