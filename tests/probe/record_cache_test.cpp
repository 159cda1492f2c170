// A recorded setup.py from the cache. The project's setup.py does what torch's extension does: one
// build.ninja, ninja from PATH, then the link by setuptools' compiler.

#include "probe/record_cache.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
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
#include "support/shared_torch.hpp"

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
fs::path test_python() { return shared_python().value_or(find_program("python3").value()); }

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
    write_file(python.site_packages / "torch-2.11.0.dist-info/RECORD",
               "torch/__init__.py,sha256=abc,1\n");
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
  note_skip(
      "python3 has no setuptools that makes wheels; SAGEBUILD_TEST_PYTHON may name one that has");
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
  const auto here = [&](const std::string& text) {
    return replaced(text, first_place.string(), place.string());
  };
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

// What setup.py reads outside of its tree, by itself and in a child.
TEST_CASE(
    "a file that setup.py read elsewhere, listed or did not find is an input of its recording") {
  if (!has_setuptools()) return;
  Recording recording;
  const fs::path outside = recording.temp.path() / "outside";
  write_file(outside / "modules/helper.py", "import beside\n");
  write_file(outside / "modules/beside.py", "value = 1\n");
  write_file(outside / "version.txt", "1.0");
  write_file(outside / "child.txt", "a");
  write_file(outside / "listed/one", "");
  write_file(outside / "by_path.pth", (outside / "by_path").string() + "\n");
  write_file(outside / "by_path/named.py", "");
  // A folder that changes during the run is not trusted, and Python makes these the first time.
  for (const char* folder : {"modules/__pycache__", "by_path/__pycache__", "written"})
    make_folders(outside / folder);
  const std::string extra = replaced(R"py(
import sys, site
sys.path.insert(0, "@/modules")
import helper
site.addsitedir("@")
import named
open("@/version.txt").read()
os.listdir("@/listed")
for name in ("@/absent.cfg", "@/nowhere/absent.cfg"):
    try:
        open(name)
    except OSError:
        pass
subprocess.run([sys.executable, "-c", "open('@/child.txt').read()"], check=True)
import pathlib
asked = [os.path.exists("@/asked.1"), pathlib.Path("@/asked.2").exists(), os.access("@/asked.3", os.R_OK), os.path.isdir("@/asked.4")]
os.path.realpath(".")
assert os.stat in os.supports_fd and os.stat in os.supports_dir_fd
open("@/written/own.txt", "w").write("written")
open("@/written/own.txt").read()
)py",
                                     "@", outside.string());
  std::size_t expected = 0;
  const auto settle = [&] {  // a file as young as the run is not trusted
    const auto stamp = fs::file_time_type::clock::now();
    while (fs::file_time_type::clock::now() < stamp + std::chrono::milliseconds(100)) {
    }
  };
  const auto runs_again = [&] {
    recording.move_to_new_place(extra);
    settle();
    recording.record();
    const bool again = recording.runs() > expected;
    expected = recording.runs();
    return again;
  };
  CHECK(runs_again());
  CHECK_FALSE(runs_again());
  const std::vector<std::pair<fs::path, std::string>> changes = {
      {"modules/beside.py", "value = 2\n"},
      {"version.txt", "1.1"},
      {"child.txt", "b"},
      {"listed/two", ""},
      {"modules/os_like.py", ""},
      {"by_path/named.py", "#\n"},
      {"absent.cfg", ""},
      {"nowhere/absent.cfg", ""},
      {"asked.1", ""},
      {"asked.2", ""},
      {"asked.3", ""},
      {"asked.4/in_it", ""}};
  for (const auto& [name, content] : changes) {
    INFO(name);
    write_file(outside / name, content);
    CHECK(runs_again());
    CHECK_FALSE(runs_again());
  }
  write_file(outside / "nowhere/not read.txt", "");
  write_file(outside / "asked.4/also_in_it", "");
  write_file(outside / "written/own.txt", "changed");
  CHECK_FALSE(runs_again());
}

TEST_CASE(
    "a file of the toolkit that setup.py reads through the stand-in's folder is an input of its "
    "recording") {
  if (!has_setuptools()) return;
  Recording recording;
  const fs::path home = recording.temp.path() / "toolkit";
  write_file(home / "version.json", "13.0");
  make_folders(home / "bin");
  recording.toolchain.cuda_home = home;
  const auto record_again = [&] {
    recording.move_to_new_place(
        "open(os.environ['CUDA_HOME'] + '/version.json').read()  # use_ninja");
    const auto stamp = fs::file_time_type::clock::now();
    while (fs::file_time_type::clock::now() < stamp + std::chrono::milliseconds(100)) {
    }
    recording.record();
  };
  record_again();
  record_again();
  CHECK(recording.runs() == 1);
  write_file(home / "version.json", "13.1");
  record_again();
  CHECK(recording.runs() == 2);
}

TEST_CASE("a run whose reading is not known to the end is not kept, and that is said") {
  if (!has_setuptools()) return;
  const std::vector<std::pair<std::string, std::string>> runs = {
      {"subprocess.run(['/bin/echo'])", "it starts '/bin/echo', whose files are not known"},
      {"os.system('true')", "it starts 'true'"},
      {"os.system('cat /dev/null ../g++')", "it starts 'cat"},
      {"subprocess.run(['gcc', '-E', '-'], input=b'')", "it starts 'gcc', which reads files"},
      {"subprocess.run(['git', '-C', '/', 'status'])", "it starts 'git', which reads files"},
      {"subprocess.run(['git', 'status'], cwd='/')", "it starts 'git', which reads files"},
      {"import sys; subprocess.run([sys.executable, '-Ic', 'pass'])", "whose files are not known"},
      {"import sys; subprocess.run([sys.executable, '-c', 'pass'], env={})",
       "whose files are not known"},
      {"os.remove(os.environ['SAGEBUILD_READS'])", "which files it reads was not written down"},
      {"os.truncate(os.environ['SAGEBUILD_READS'], 0)",
       "which files it reads was not written down"}};
  for (const auto& [extra, problem] : runs) {
    INFO(extra);
    Recording recording;
    for (int i = 0; i < 2; ++i) {
      recording.move_to_new_place(extra);
      recording.record();
    }
    CHECK(recording.runs() == 2);
    CHECK(RecordingReporter::any_has(recording.report.details, problem));
  }
}

TEST_CASE("the hook changes nothing that a run sees, and gives way to an own sitecustomize") {
  const TempDir temp("sagebuild-listener-test");
  write_file(temp.path() / "sitecustomize.py", "value = 'own'\n");
  const fs::path listener = data_folder() / "patches/probe";
  const std::string show =
      "import sys, sitecustomize as s; print(s.value, s.__file__, [p for p in sys.path if "
      "'patches/probe' in p])";
  Command command{{test_python(), "-c", show}};
  command.env["PYTHONPATH"] = listener.string() + ":" + temp.path().string();
  command.env["SAGEBUILD_READS"] = temp.path() / "reads";
  const std::string expected =
      fmt::format("own {} []\n", (temp.path() / "sitecustomize.py").string());
  CHECK(run_checked(command, "python").output == expected);
  CHECK(read_file(temp.path() / "reads").starts_with('b'));
  // Where it cannot write, and where nobody listens.
  command.env["SAGEBUILD_READS"] = temp.path() / "no/folder/reads";
  CHECK(run_checked(command, "python").output == expected);
  command.env.erase("SAGEBUILD_READS");
  CHECK(run_checked(command, "python").output == expected);
  // A child that forks and one that closes its files do no harm.
  command.env["SAGEBUILD_READS"] = temp.path() / "reads";
  command.argv.back() =
      "import os; os.closerange(3, 100); pid = os.fork(); open('/etc/passwd').read(); pid and "
      "os.wait()";
  CHECK(run_checked(command, "python").diagnostics.empty());
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
  CHECK(changes([&] {
    write_file(recording.python.site_packages / "torch-2.11.0.dist-info/RECORD", "other");
  }));
  CHECK(changes(
      [&] { write_file(recording.python.site_packages / "numpy-2.0.dist-info/RECORD", ""); }));
  CHECK(changes([&] { write_file(recording.python.site_packages / "extra.pth", "/some/folder"); }));
  CHECK(changes([&] { write_file(recording.toolchain.nvcc, "a newer nvcc"); }));
  CHECK(changes([&] {
    write_file(recording.toolchain.nvcc.parent_path() / "nvcc.profile", "TOP = /other");
  }));
  CHECK(changes([&] { recording.toolchain.host_compiler = recording.toolchain.nvcc; }));
  CHECK_FALSE(
      changes([&] { write_file(recording.settings.project / "build/temp/a.o", "left over"); }));
  CHECK_FALSE(changes(
      [&] { write_file(recording.settings.project / "demo.egg-info/PKG-INFO", "left over"); }));
  CHECK_FALSE(changes(
      [&] { write_file(recording.settings.project / "pkg/__pycache__/x.pyc", "left over"); }));

  Recording other;
  other.python = recording.python;
  other.toolchain = recording.toolchain;
  other.settings.project = other.temp.path() / "elsewhere";
  copy_tree(recording.settings.project, other.settings.project);
  other.settings.archs = recording.settings.archs;
  CHECK(other.key() == recording.key());
  CHECK(other.key() != base);
}

TEST_CASE(
    "the user's variables reach setup.py, are inputs of its recording, and those it asked for are "
    "known") {
  if (!has_setuptools()) return;
  Recording recording;
  const std::string extra = R"(
assert os.environ.get("SWITCH") == "@"
os.getenv("ABSENT")
"ASKED" in os.environ
os.environ.copy()
subprocess.run(["uname"], stdout=subprocess.DEVNULL)
)";
  const auto record = [&](const std::string& value, const std::string& git) {
    recording.move_to_new_place(replaced(extra, "@", value));
    recording.settings.variables = {{"SWITCH", value}, {"COPIED", "1"}};
    recording.settings.git = git;
    return recording.record();
  };
  const std::vector<std::string> asked = {"ABSENT", "ASKED", "CXX", "SWITCH"};
  CHECK(record("1", "").variables == asked);
  CHECK(record("1", "").variables == asked);  // from the cache
  CHECK(recording.runs() == 1);
  record("1", "another commit");
  CHECK(recording.runs() == 2);
  record("2", "");
  CHECK(recording.runs() == 3);
}

TEST_CASE("the value of a secret counts, and is not in what the cache keeps of a key") {
  Recording recording;
  const auto key = [&](const std::string& name, const std::string& value) {
    Command command{{recording.python.executable, "setup.py"}};
    command.env[name] = value;
    return RecordCache(recording.settings, command, recording.python, recording.toolchain,
                       *recording.cache)
        .key();
  };
  CHECK(key("MY_TOKEN", "first").digest() != key("MY_TOKEN", "second").digest());
  CHECK(key("MY_SWITCH", "first").digest() != key("MY_SWITCH", "second").digest());
  const ActionKey held = key("MY_TOKEN", "first");
  for (const auto& [name, value] : held.inputs()) CHECK(value != "first");
}

}  // namespace sagebuild
