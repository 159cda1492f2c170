// A recorded setup.py from the cache. The project's setup.py does what torch's extension does: one build.ninja, ninja
// from PATH, then the link by setuptools' compiler.

#include "probe/record_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cache/cache.hpp"
#include "sagebuild/probe/stand_in.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// The stand-ins are links to the running binary, which is this test.
[[maybe_unused]] const bool kStandIn = [] {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string words((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> argv;
  for (const auto word : split(words, std::string_view("\0", 1))) argv.emplace_back(word);
  if (const auto status = run_as_stand_in(argv)) {
    std::fflush(nullptr);
    _exit(*status);
  }
  return false;
}();

constexpr const char* kSetup = R"(
import os, subprocess
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

open("@COUNTER@", "a").write("ran\n")
@EXTRA@

class Build(build_ext):
    def build_extension(self, ext):
        os.makedirs(self.build_temp, exist_ok=True)
        target = os.path.abspath(os.path.join(self.build_temp, "a.o"))
        with open(os.path.join(self.build_temp, "build.ninja"), "w") as out:
            out.write("cxx = %s\nrule compile\n  command = $cxx -O2 -c $in -o $out\n" % os.environ["CXX"])
            out.write("build %s: compile %s\n" % (target, os.path.abspath("a.cpp")))
        subprocess.run(["ninja", "-v"], cwd=self.build_temp, check=True)
        path = self.get_ext_fullpath(ext.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.compiler.link_shared_object([target], path)

setup(name="demo", version="1.0", py_modules=["demo"], ext_modules=[Extension("_demo", ["a.cpp"])], cmdclass={"build_ext": Build})
)";

// With setuptools that makes wheels.
fs::path test_python() {
  const char* named = std::getenv("SAGEBUILD_TEST_PYTHON");
  return named != nullptr ? fs::path(named) : find_program("python3").value();
}

struct Recording {
  TempDir temp{"sagebuild-record-test"};
  RecordingReporter report;
  std::unique_ptr<ActionCache> cache = open_cache({temp.path() / "cache"}, report);
  PythonEnv python;
  Toolchain toolchain;
  RecordSettings settings;
  int places = 0;

  Recording() {
    python.executable = test_python();
    python.version = "3.11.7";
    python.site_packages = temp.path() / "site-packages";
    write_file(python.site_packages / "torch-2.11.0.dist-info/RECORD", "torch/__init__.py,sha256=abc,1\n");
    toolchain.nvcc = temp.path() / "cuda/bin/nvcc";
    toolchain.cuda_home = temp.path() / "cuda";
    write_file(toolchain.nvcc, "nvcc");
    toolchain.host_compiler = find_program("g++").value();
    move_to_new_place("");
  }
  void move_to_new_place(const std::string& extra) {
    const fs::path place = temp.path() / fmt::format("place-{}", ++places);
    settings = {place / "tree", "8.0;9.0", place / "work", cache.get()};
    write_file(settings.project / "a.cpp", "int a;\n");
    write_file(settings.project / "demo.py", "\n");
    std::string text = replaced(kSetup, "@COUNTER@", (temp.path() / "counter").string());
    write_file(settings.project / "setup.py", replaced(text, "@EXTRA@", extra));
  }
  RecordedBuild record() {
    try {
      return record_setup(settings, python, toolchain, report);
    } catch (const Error& error) {
      UNSCOPED_INFO(error.rendered());
      throw;
    }
  }
  std::size_t runs() const {
    const std::string text = read_file_if_exists(temp.path() / "counter").value_or("");
    return lines_of(text).size();
  }
  Digest key(const std::string& variable = "") {
    Command command{{python.executable, "setup.py"}};
    command.env["TORCH_CUDA_ARCH_LIST"] = settings.archs;
    command.env["VARIABLE"] = variable;
    command.env["SAGEBUILD_RECORD"] = settings.work / "records";
    return RecordCache(settings, command, python, toolchain, *cache).key().digest();
  }
};

bool has_setuptools() {
  Command command{{test_python(), "-c", "import setuptools, setuptools.command.bdist_wheel"}};
  if (run(command).ok()) return true;
  command.argv.back() = "import setuptools, wheel";
  if (run(command).ok()) return true;
  WARN("NOT TESTED: python3 has no setuptools that makes wheels; SAGEBUILD_TEST_PYTHON may name one that has");
  return false;
}

}  // namespace

TEST_CASE("a setup.py with the same inputs runs once, wherever its tree lies") {
  if (!has_setuptools()) return;
  Recording recording;
  const RecordedBuild first = recording.record();
  REQUIRE(first.modules.size() == 1);
  const fs::path first_place = recording.settings.project.parent_path();
  CHECK(recording.runs() == 1);
  recording.move_to_new_place("");
  const RecordedBuild second = recording.record();
  CHECK(recording.runs() == 1);
  const fs::path place = recording.settings.project.parent_path();
  const auto here = [&](const std::string& text) { return replaced(text, first_place.string(), place.string()); };
  REQUIRE(second.modules.size() == 1);
  const RecordedModule &before = first.modules[0], &now = second.modules[0];
  CHECK(now.name == before.name);
  CHECK(now.output == before.output);
  CHECK(shell_line(now.link) == here(shell_line(before.link)));
  CHECK(now.sources[0].source == here(before.sources[0].source));
  CHECK(now.sources[0].object == here(before.sources[0].object));
  CHECK(now.sources[0].argv == before.sources[0].argv);
  CHECK(fs::is_directory(now.link_cwd));
  CHECK(fs::is_directory(now.sources[0].cwd));
  CHECK(second.wheel.parent_path() == place / "work/wheel");
  CHECK(read_file(second.wheel) == read_file(first.wheel));

  recording.move_to_new_place("# changed");
  recording.record();
  CHECK(recording.runs() == 2);
  recording.move_to_new_place("");
  recording.settings.archs = "8.9";
  recording.record();
  CHECK(recording.runs() == 3);
}

TEST_CASE("a setup.py that writes into its tree, or that fails, is not kept") {
  if (!has_setuptools()) return;
  Recording recording;
  for (int i = 0; i < 2; ++i) {
    recording.move_to_new_place("open('version.py', 'w').write('1')");
    recording.record();
  }
  CHECK(recording.runs() == 2);
  for (int i = 0; i < 2; ++i) {
    recording.move_to_new_place("raise SystemExit('no')");
    CHECK_THROWS_AS(recording.record(), Error);
  }
  CHECK(recording.runs() == 4);
}

TEST_CASE("every input of a recording changes its key, and the place does not") {
  Recording recording;
  const Digest base = recording.key();
  const auto changes = [&](const std::function<void()>& change) {
    const Digest before = recording.key();
    change();
    return recording.key() != before;
  };
  CHECK(changes([&] { write_file(recording.settings.project / "a.cpp", "int b;\n"); }));
  CHECK(changes([&] { write_file(recording.settings.project / "new/file", ""); }));
  CHECK(changes([&] { fs::permissions(recording.settings.project / "a.cpp", fs::perms(0755)); }));
  CHECK(changes([&] { fs::create_symlink("a.cpp", recording.settings.project / "link"); }));
  CHECK(changes([&] {
    fs::remove(recording.settings.project / "link");
    fs::create_symlink("demo.py", recording.settings.project / "link");
  }));
  CHECK(changes([&] { recording.settings.archs = "9.0"; }));
  CHECK(recording.key("x") != recording.key("y"));
  CHECK(changes([&] { recording.python.version = "3.12.1"; }));
  CHECK(changes([&] { recording.python.soabi = "cpython-312-x86_64-linux-gnu"; }));
  CHECK(changes([&] { recording.python.executable = "/other/python3"; }));
  CHECK(changes([&] { write_file(recording.python.site_packages / "torch-2.11.0.dist-info/RECORD", "other"); }));
  CHECK(changes([&] { write_file(recording.python.site_packages / "numpy-2.0.dist-info/RECORD", ""); }));
  CHECK(changes([&] { write_file(recording.python.site_packages / "extra.pth", "/some/folder"); }));
  CHECK(changes([&] { write_file(recording.toolchain.nvcc, "a newer nvcc"); }));
  CHECK(changes([&] { recording.toolchain.host_compiler = recording.toolchain.nvcc; }));
  CHECK_FALSE(changes([&] { write_file(recording.settings.project / "build/temp/a.o", "left over"); }));
  CHECK_FALSE(changes([&] { write_file(recording.settings.project / "demo.egg-info/PKG-INFO", "left over"); }));
  CHECK_FALSE(changes([&] { write_file(recording.settings.project / "pkg/__pycache__/x.pyc", "left over"); }));

  Recording other;
  other.python = recording.python;
  other.toolchain = recording.toolchain;
  other.settings.project = other.temp.path() / "elsewhere";
  copy_tree(recording.settings.project, other.settings.project);
  other.settings.archs = recording.settings.archs;
  CHECK(other.key() == recording.key());
  CHECK(other.key() != base);
}

}  // namespace sagebuild
