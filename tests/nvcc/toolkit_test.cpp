// What belongs to a toolkit, and what is said of it.
#include <set>

#include "sagebuild/base/strings.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A host compiler whose parts lie in one folder, beside an nvcc that is not understood: so nothing
// is self-tested.
struct PlantedToolkit {
  TempDir folder{"sagebuild-planted-toolkit"};
  MemoryCache cache;
  RecordingReporter reporter;

  PlantedToolkit() {
    script("nvcc", "exit 1");
    script("g++", fmt::format("if [ \"$1\" != -print-search-dirs ]; then exec g++ \"$@\"; fi\n"
                              "echo 'programs: ={0}/:/nowhere/'; echo 'libraries: ={0}/:/nowhere/'",
                              folder.path().string()));
    script("ld", "exec ld \"$@\"");
    for (const char* part : {"cc1plus", "as"}) script(part, "exit 0");
  }
  void script(const std::string& name, const std::string& body) const {
    write_file(folder.path() / name, "#!/bin/sh\n" + body + "\n");
    fs::permissions(folder.path() / name, fs::perms::owner_all);
  }
  Toolkit inspect() {
    Toolchain toolchain;
    toolchain.nvcc = folder.path() / "nvcc";
    toolchain.host_compiler = folder.path() / "g++";
    return inspect_toolkit(toolchain, {toolchain.nvcc.string()}, cache, reporter);
  }
};

// The real toolkit, with a script in nvcc's place.
struct ScriptedToolkit {
  TempDir folder{"sagebuild-scripted-toolkit"};
  MemoryCache cache;
  RecordingReporter reporter;

  explicit ScriptedToolkit(const std::string& body) {
    write_file(nvcc(), "#!/bin/sh\n" + body + "\n");
    fs::permissions(nvcc(), fs::perms::owner_all);
  }
  fs::path nvcc() const { return folder.path() / "nvcc"; }
  Toolkit inspect() {
    Toolchain toolchain = NvccWorld::toolchain();
    toolchain.nvcc = nvcc();
    return inspect_toolkit(toolchain, {nvcc().string()}, cache, reporter);
  }
};

TEST_CASE("every part of a host compiler and of nvcc is in the toolkit's digest, there or not") {
  PlantedToolkit planted;
  const Toolkit before = planted.inspect();  // without the optional parts, which is no error
  CHECK(before.unchanged(planted.cache));
  const std::string part =
      GENERATE(as<std::string>{}, "cc1plus", "as", "ld", "cc1", "collect2", "lto1", "lto-wrapper",
               "liblto_plugin.so", "specs", "libgomp.spec", "nvcc.profile");
  CAPTURE(part);
  planted.script(part, part == "ld" ? "exec ld \"$@\" # one" : "one");
  const Toolkit with_part = planted.inspect();
  CHECK(with_part.digest() != before.digest());
  planted.script(part, part == "ld" ? "exec ld \"$@\" # two" : "two");
  CHECK_FALSE(with_part.unchanged(planted.cache));  // as if it had been replaced while a build ran
  CHECK(planted.inspect().digest() != with_part.digest());
  fs::remove(planted.folder.path() / part);
  CHECK_FALSE(with_part.unchanged(planted.cache));
}

TEST_CASE("a toolkit's facts are asked for once per compiler") {
  PlantedToolkit planted;
  const Toolkit first = planted.inspect();
  const auto has = [](const auto& folders, const char* wanted) {
    return std::ranges::any_of(
        folders, [&](const fs::path& folder) { return folder.lexically_normal() == wanted; });
  };
  CHECK(has(first.system_includes, "/usr/include"));
  CHECK(has(first.system_includes, "/usr/local/include"));
  CHECK(std::set(first.system_includes.begin(), first.system_includes.end()).size() ==
        first.system_includes.size());
  // One that does not exist is known, too, and stands in front.
  CHECK(std::ranges::is_partitioned(first.system_includes,
                                    [](const fs::path& folder) { return !fs::exists(folder); }));
  CHECK_FALSE(fs::exists(first.system_includes.front()));
  CHECK(first.library_folders.front() == planted.folder.path() / "");
  CHECK(has(first.library_folders, "/usr/lib"));
  CHECK(first.lists_link_inputs);
  CHECK(first.tools.contains("strip"));

  planted.script("ld", "exit 1");  // it is another, so it is asked again
  CHECK_THROWS_AS(planted.inspect(), Error);
  planted.script("ld", "exec ld \"$@\"");
  const Toolkit again = planted.inspect();
  CHECK(planted.cache.hits ==
        std::vector<std::string>{"toolkit facts: " + (planted.folder.path() / "g++").string()});
  CHECK(again.system_includes == first.system_includes);
  CHECK(again.library_folders == first.library_folders);
  CHECK(again.lists_link_inputs);
}

TEST_CASE("a linker without dependency files is known as such") {
  PlantedToolkit planted;
  planted.script("ld", "[ \"$1\" = --help ] || exec ld \"$@\"");
  CHECK_FALSE(planted.inspect().lists_link_inputs);
}

TEST_CASE("a toolkit without one of its programs is told to lack it") {
  NEEDS_NVCC();
  ScriptedToolkit toolkit(fmt::format(
      "{} \"$@\" 2>&1 | sed 's|\\$CICC_PATH/cicc|/nowhere/cicc|' >&2", real_nvcc()->string()));
  try {
    toolkit.inspect();
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind == ErrorKind::environment);
    CHECK(error.message == "'/nowhere/cicc' is not to be found");
    CHECK(error.hint.find("sagebuild doctor") != std::string::npos);
  }
}

TEST_CASE("the real toolkit has its libdevice and profile in the digest") {
  NEEDS_NVCC();
  const auto toolkit = NvccWorld::toolkit();
  const fs::path home = toolkit->programs.at("cicc").parent_path().parent_path();
  CHECK(toolkit->tools.contains("libdevice") == fs::exists(home / "libdevice" / "libdevice.10.bc"));
  CHECK(toolkit->tools.contains("nvcc.profile"));
}

TEST_CASE("a full disk below TMPDIR is not called a failed self-test") {
  NEEDS_NVCC();
  ScriptedToolkit toolkit(fmt::format(
      "case \"$*\" in *--dryrun*) exec {} \"$@\";; esac\n"
      "echo \"fatal error: error writing to /tmp/x.s: No space left on device\" >&2\nexit 1",
      real_nvcc()->string()));
  try {
    toolkit.inspect();
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message.starts_with("cannot write below '"));
    CHECK(error.causes == std::vector<std::string>{"No space left on device"});
    CHECK(error.hint.find("free some space") != std::string::npos);
  }
}

// The real toolkit, with a program in nvcc's place whose dry run is not understood.
struct StrangeToolkit {
  NvccWorld world;
  TempDir folder{"sagebuild-strange-toolkit"};

  fs::path home() const { return folder.path(); }
  fs::path nvcc() const { return home() / "bin" / "nvcc"; }

  StrangeToolkit() {
    const fs::path real = fs::canonical(*real_nvcc());
    make_folders(home() / "bin");
    for (const char* tool : {"cudafe++", "ptxas", "fatbinary", "nvcc.profile"})
      fs::create_symlink(real.parent_path() / tool, home() / "bin" / tool);
    for (const char* part : {"include", "nvvm", "lib64"})
      fs::create_symlink(real.parent_path().parent_path() / part, home() / part);
    Command compile{.argv = {"gcc", "-x", "c", "-", "-o", nvcc().string()}};
    compile.input = fmt::format(
        "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\nint main(int count, char** "
        "words) {{\n"
        "  for (int i = 1; i < count; ++i) if (!strcmp(words[i], \"--dryrun\")) {{ fputs(\"#$ "
        "tileir x\\n\", stderr); "
        "return 0; }}\n  words[0] = \"{0}\";\n  execv(words[0], words);\n  return 1;\n}}\n",
        real.string());
    run_checked(compile, "cannot compile the strange nvcc");
  }
  void script() const {
    fs::remove(nvcc());
    write_file(nvcc(),
               fmt::format("#!/bin/sh\ncase \"$*\" in *--dryrun*) exit 0;; esac\nexec {} \"$@\"\n",
                           real_nvcc()->string()));
    fs::permissions(nvcc(), fs::perms::owner_all);
  }
  Toolkit inspect() {
    Toolchain toolchain = NvccWorld::toolchain();
    toolchain.nvcc = nvcc();
    toolchain.cuda_home = home();
    return inspect_toolkit(toolchain, {nvcc().string()}, *world.cache, world.reporter);
  }
  bool compile_hits() {
    auto settings = world.settings();
    settings->toolkit = std::make_shared<const Toolkit>(inspect());
    world.put(world.tree() / "a.cu",
              "__global__ void k(int* p) { *p = 1; }\nvoid f(int* p) { k<<<1, 1>>>(p); }\n");
    PlannedSource source = world.source("a.cu");
    source.recorded.argv.front() = nvcc();
    fs::remove(source.recorded.object);
    StepRunner runner(*world.cache);
    runner.run(compile_step(source, "mini._ops", settings));
    CHECK(fs::exists(source.recorded.object));
    return runner.runs.front().hit;
  }
};

TEST_CASE(
    "without a dry run all that nvcc could start or include is in its digest, and results are "
    "kept") {
  NEEDS_NVCC();
  StrangeToolkit strange;
  const Toolkit before = strange.inspect();
  CHECK(before.decompose_off.find("tileir") != std::string::npos);
  CHECK(before.unknown_tools.empty());
  for (const char* tool : {"nvcc", "host", "bin/ptxas", "bin/cudafe++", "nvvm/bin/cicc",
                           "nvvm/libdevice/libdevice.10.bc"})
    CHECK(before.tools.contains(tool));
  CHECK_FALSE(before.runtime_headers == Digest());
  CHECK_FALSE(strange.compile_hits());
  CHECK(RecordingReporter::any_has(strange.world.reporter.notes,
                                   "in one piece: nvcc printed a command"));
  CHECK(strange.compile_hits());

  SECTION("a new tool") { write_file(strange.home() / "bin" / "tileir", "new"); }
  SECTION("another ptxas") {
    fs::remove(strange.home() / "bin" / "ptxas");
    write_file(strange.home() / "bin" / "ptxas",
               "#!/bin/sh\nexec " + (fs::canonical(*real_nvcc()).parent_path() / "ptxas").string() +
                   " \"$@\"\n");
    fs::permissions(strange.home() / "bin" / "ptxas", fs::perms::owner_all);
  }
  CHECK(strange.inspect().digest() != before.digest());
  CHECK_FALSE(strange.compile_hits());
}

TEST_CASE(
    "what an nvcc without a dry run starts is not known for a script, or where its tools are not: "
    "nothing is kept") {
  NEEDS_NVCC();
  StrangeToolkit strange;
  SECTION("a script") {
    strange.script();
    CHECK(strange.inspect().unknown_tools.find("is a script") != std::string::npos);
  }
  SECTION("no ptxas beside it") {
    fs::remove(strange.home() / "bin" / "ptxas");
    CHECK(strange.inspect().unknown_tools.find("bin/ptxas'") != std::string::npos);
  }
  CHECK_FALSE(strange.compile_hits());
  CHECK_FALSE(strange.compile_hits());
  CHECK(RecordingReporter::any_has(strange.world.reporter.notes, "is not kept in the cache: "));
}

TEST_CASE("a step of nvcc's that fails by itself leaves the compile to nvcc") {
  NEEDS_NVCC();
  TempDir folder("sagebuild-broken-part");
  const fs::path real = fs::canonical(*real_nvcc());
  const fs::path cicc = folder.path() / "cicc";
  write_file(cicc, "#!/bin/sh\necho \"cicc: what is this?\" >&2\nexit 1\n");
  fs::permissions(cicc, fs::perms::owner_all);
  const fs::path nvcc = folder.path() / "nvcc";
  write_file(nvcc, fmt::format("#!/bin/sh\ncase \"$*\" in *--dryrun*) {0} \"$@\" 2>&1 | sed "
                               "'s|\\$CICC_PATH/cicc|{1}|' >&2; "
                               "exit 0;; esac\nexec {0} \"$@\"\n",
                               real.string(), cicc.string()));
  fs::permissions(nvcc, fs::perms::owner_all);
  Toolchain toolchain = NvccWorld::toolchain();
  toolchain.nvcc = nvcc;
  MemoryCache cache;
  RecordingReporter reporter;
  const Toolkit toolkit = inspect_toolkit(toolchain, {nvcc.string()}, cache, reporter);
  CHECK(toolkit.decompose_off.find("self-test failed at 'cicc'") != std::string::npos);
  CHECK(RecordingReporter::any_has(reporter.warnings, "self-test failed at 'cicc'"));
}

}  // namespace
}  // namespace sagebuild
