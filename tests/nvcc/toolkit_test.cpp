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

TEST_CASE("the real toolkit has its libdevice and profile in the digest") {
  NEEDS_NVCC();
  const auto toolkit = NvccWorld::toolkit();
  const fs::path home = toolkit->programs.at("cicc").parent_path().parent_path();
  CHECK(toolkit->tools.contains("libdevice") == fs::exists(home / "libdevice" / "libdevice.10.bc"));
  CHECK(toolkit->tools.contains("nvcc.profile"));
}

TEST_CASE("a full disk below TMPDIR is not called a failed self-test") {
  NEEDS_NVCC();
  TempDir folder("sagebuild-full-disk");
  const fs::path nvcc = folder.path() / "nvcc";
  write_file(
      nvcc,
      fmt::format(
          "#!/bin/sh\ncase \"$*\" in *--dryrun*) exec {} \"$@\";; esac\n"
          "echo \"fatal error: error writing to /tmp/x.s: No space left on device\" >&2\nexit 1\n",
          real_nvcc()->string()));
  fs::permissions(nvcc, fs::perms::owner_all);
  Toolchain toolchain = NvccWorld::toolchain();
  toolchain.nvcc = nvcc;
  MemoryCache cache;
  RecordingReporter reporter;
  try {
    inspect_toolkit(toolchain, {nvcc.string()}, cache, reporter);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message.starts_with("cannot write below '"));
    CHECK(error.causes == std::vector<std::string>{"No space left on device"});
    CHECK(error.hint.find("free some space") != std::string::npos);
  }
}

}  // namespace
}  // namespace sagebuild
