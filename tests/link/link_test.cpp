// Links with this machine's g++ and ld: what they read is what their results are known by.
#include "sagebuild/link/link.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/elf_view.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/memory_cache.hpp"
#include "support/recording_reporter.hpp"
#include "support/run_steps.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// A project of one object, and what its link names.
class LinkWorld {
 public:
  LinkWorld() : LinkWorld(std::make_shared<MemoryCache>()) {}
  // A second build with the cache of the first, elsewhere.
  explicit LinkWorld(std::shared_ptr<MemoryCache> shared) : cache(std::move(shared)) {
    for (const char* name : {"lib", "early", "build", "providers"}) make_folders(tree() / name);
    settings->roots = {{"tree", tree()}, {"build", work()}};
    settings->work = work();
    settings->host_compiler = "g++";
    settings->library_folders = {"/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib"};
    settings->lists_inputs = true;
    settings->tools_unchanged = [this] { return tools_are_same; };
    settings->tools = sha256("tools");
    settings->cache = cache.get();
    settings->reporter = &reporter;
    settings->provider_folders = {tree() / "providers"};
    compile("main",
            "int foo(); extern \"C\" int call() { return foo(); } extern \"C\" int other() { "
            "return 7; }");
  }

  std::shared_ptr<MemoryCache> cache;
  RecordingReporter reporter;
  std::shared_ptr<LinkSettings> settings = std::make_shared<LinkSettings>();
  bool tools_are_same = true;
  Words words;  // of the link, behind the object

  fs::path tree() const { return folder_.path() / "tree"; }
  fs::path work() const { return folder_.path() / "work"; }
  fs::path output() const { return folder_.path() / "modules" / "ext.so"; }

  void put(const std::string& name, std::string_view text) const {
    write_file(tree() / name, text);
  }
  void run_in_tree(const Words& argv, const std::string& input = {}) const {
    Command command{.argv = argv, .cwd = tree()};
    command.input = input;
    run_checked(command, "cannot prepare");
  }
  fs::path compile(const std::string& name, const std::string& text) const {
    run_in_tree({"g++", "-fPIC", "-O1", "-x", "c++", "-c", "-", "-o", "build/" + name + ".o"},
                text);
    return tree() / "build" / (name + ".o");
  }
  void archive(const std::string& file, const std::string& text) const {
    compile("member", text);
    fs::remove(tree() / file);
    run_in_tree({"ar", "rcD", file, "build/member.o"});
  }
  void library(const std::string& file, const std::string& text, const Words& more = {}) const {
    Words argv = {"g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", file};
    argv.insert(argv.end(), more.begin(), more.end());
    run_in_tree(argv, text);
  }

  Step step() const {
    PlannedModule module;
    module.name = "demo.ext";
    module.link = {"g++", "-shared", "build/main.o"};
    module.link.insert(module.link.end(), words.begin(), words.end());
    module.link.insert(module.link.end(), {"-o", "build/ext.so"});
    module.link_cwd = tree();
    const fs::path object = tree() / "build" / "main.o";
    return link_step(module, {{object, object}}, bridge, output(), "demo.ext", settings);
  }
  fs::path bridge;

  // Was it a hit?
  bool link() {
    fs::remove(output());
    StepRunner runner(*cache);
    runner.run(step());
    return runner.runs.front().hit;
  }
  // What the module's call() gives.
  int call(const char* function = "call") const {
    void* module = ::dlopen(output().c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) FAIL(::dlerror());
    const auto symbol = reinterpret_cast<int (*)()>(::dlsym(module, function));
    const int value = symbol == nullptr ? -1 : symbol();
    ::dlclose(module);
    return value;
  }
  std::set<std::string> exports() const {
    std::set<std::string> names;
    each_exported_symbol(output(), [&](std::string_view name) { names.emplace(name); });
    return names;
  }
  // The second of two links without a change in between is a hit, with the same bytes.
  void require_kept() {
    CHECK_FALSE(link());
    const std::string first = read_file(output());
    REQUIRE(link());
    CHECK(read_file(output()) == first);
  }

 private:
  TempDir folder_{"sagebuild-link"};
};

std::string foo(int value) { return fmt::format("int foo() {{ return {}; }}", value); }

TEST_CASE("an archive that the command names is an input") {
  LinkWorld world;
  world.words = {"lib/foo.a"};
  world.archive("lib/foo.a", foo(1));
  world.require_kept();
  CHECK(world.call() == 1);
  world.archive("lib/foo.a", foo(2));
  CHECK_FALSE(world.link());
  CHECK(world.call() == 2);
}

TEST_CASE("a library found by -l is an input, and so is one that is found before it from now on") {
  LinkWorld world;
  world.words = {"-Learly", "-Llib", "-lfoo"};
  world.archive("lib/libfoo.a", foo(1));
  world.require_kept();
  CHECK(world.call() == 1);

  SECTION("its content") {
    world.archive("lib/libfoo.a", foo(2));
    CHECK_FALSE(world.link());
    CHECK(world.call() == 2);
  }
  SECTION("earlier in -L") {
    world.archive("early/libfoo.a", foo(3));
    CHECK_FALSE(world.link());
    CHECK(world.call() == 3);
  }
  SECTION("a shared one beside an archive") {
    world.library("lib/libfoo.so", foo(4), {"-Wl,-soname,libsagebuild_test_foo.so"});
    CHECK_FALSE(world.link());
    CHECK(dynamic_info(world.output()).needed.front() == "libsagebuild_test_foo.so");
  }
  SECTION("a script in its place that names another") {
    world.put("lib/libfoo.so", "INPUT(-lbaz)\n");
    world.archive("lib/libbaz.a", foo(5));
    CHECK_FALSE(world.link());
    CHECK(world.call() == 5);
    CHECK(world.link());
    world.archive("early/libbaz.a", foo(6));
    CHECK_FALSE(world.link());
    CHECK(world.call() == 6);
  }
}

TEST_CASE("a shared library counts by its content") {
  LinkWorld world;
  world.words = {"-Llib", "-lfoo"};
  world.library("lib/libfoo.so", foo(1), {"-Wl,-soname,libfoo.so.1"});
  world.require_kept();
  world.library("lib/libfoo.so", foo(1), {"-Wl,-soname,libfoo.so.2"});
  CHECK_FALSE(world.link());
  CHECK(dynamic_info(world.output()).needed.front() == "libfoo.so.2");
}

TEST_CASE("files that words name are inputs: version scripts, lists, scripts, files of arguments") {
  LinkWorld world;
  world.archive("lib/foo.a", foo(1));
  world.put("exports.map", "{ global: call; local: *; };\n");
  world.put("keep.txt", "call\n");

  SECTION("a version script") {
    world.words = {"lib/foo.a", "-Wl,--version-script=exports.map"};
    world.require_kept();
    CHECK_FALSE(world.exports().contains("other"));
    world.put("exports.map", "{ global: call; other; local: *; };\n");
    CHECK_FALSE(world.link());
    CHECK(world.exports().contains("other"));
  }
  SECTION("as a word of its own") {
    world.words = {"lib/foo.a", "-Wl,--version-script", "-Xlinker", "exports.map"};
    world.require_kept();
    world.put("exports.map", "{ global: call; other; local: *; };\n");
    CHECK_FALSE(world.link());
    CHECK(world.exports().contains("other"));
  }
  SECTION("a list that the linker itself does not name among its inputs") {
    world.words = {"lib/foo.a", "-Wl,--retain-symbols-file=keep.txt"};
    world.require_kept();
    world.put("keep.txt", "call\nother\n");
    CHECK_FALSE(world.link());
  }
  SECTION("an @file, and one within it") {
    world.put("link.txt", "'lib/foo.a' @more.txt\n");
    world.put("more.txt", "-Wl,--version-script=exports.map");
    world.words = {"@link.txt"};
    world.require_kept();
    CHECK_FALSE(world.exports().contains("other"));
    world.put("more.txt", "-Wl,-soname,other.so");
    CHECK_FALSE(world.link());
    CHECK(world.exports().contains("other"));
    world.archive("lib/foo.a", foo(2));  // named by a file of arguments alone
    CHECK_FALSE(world.link());
    CHECK(world.call() == 2);
  }
  SECTION("an @file of the linker's") {
    world.put("link.txt", "--version-script=exports.map\n");
    world.words = {"lib/foo.a", "-Wl,@link.txt"};
    world.require_kept();
    CHECK_FALSE(world.exports().contains("other"));
    world.put("link.txt", "-soname other.so\n");
    CHECK_FALSE(world.link());
    CHECK(dynamic_info(world.output()).soname == "other.so");
  }
  SECTION("a linker script") {
    world.put("more.ld", "value_of_script = 5;\nINSERT AFTER .text;\n");
    world.words = {"lib/foo.a", "-Wl,-T,more.ld"};
    world.require_kept();
    world.put("more.ld", "other_value = 5;\nINSERT AFTER .text;\n");
    CHECK_FALSE(world.link());
    CHECK(world.exports().contains("other_value"));
  }
}

TEST_CASE("objects, bridge, tools and words are inputs") {
  LinkWorld world;
  world.words = {"lib/foo.a"};
  world.archive("lib/foo.a", foo(1));
  world.bridge = world.compile("bridge", "int bridged() { return 1; }");
  world.require_kept();
  SECTION("object") {
    world.compile("main", "int foo(); extern \"C\" int call() { return foo() + 10; }");
    CHECK_FALSE(world.link());
    CHECK(world.call() == 11);
  }
  SECTION("bridge") {
    world.compile("bridge", "int bridged_otherwise() { return 1; }");
    CHECK_FALSE(world.link());
    CHECK(world.exports().contains("_Z17bridged_otherwisev"));
  }
  SECTION("tools") {
    world.settings->tools = sha256("other tools");
    CHECK_FALSE(world.link());
  }
  SECTION("word") {
    world.words.emplace_back("-Wl,-soname,x");
    CHECK_FALSE(world.link());
  }
}

TEST_CASE("the same link in another folder is a hit with the same bytes") {
  const auto cache = std::make_shared<MemoryCache>();
  const auto prepare = [](LinkWorld& world) {
    world.archive("lib/foo.a", foo(1));
    world.library("lib/libbar.so", "int bar() { return 1; }", {"-Wl,-soname,libbar.so"});
    world.put("exports.map", "{ global: call; local: *; };\n");
    const std::string tree = world.tree().string();
    world.words = {tree + "/lib/foo.a", "-L" + tree + "/lib", "-lbar",
                   "-Wl,--version-script=" + tree + "/exports.map"};
  };
  LinkWorld first(cache), second(cache), third(cache);
  prepare(first);
  prepare(second);
  prepare(third);
  CHECK_FALSE(first.link());
  CHECK(second.link());
  CHECK(read_file(second.output()) == read_file(first.output()));
  // A place that is written into the module is no detail.
  first.words.push_back("-Wl,-rpath,$ORIGIN/one");
  third.words.push_back("-Wl,-rpath,$ORIGIN/other");
  CHECK_FALSE(first.link());
  CHECK(first.link());
  CHECK_FALSE(third.link());
  CHECK(dynamic_info(third.output()).run_paths == Words{"$ORIGIN/other"});
}

TEST_CASE("a module has run paths below its own folder alone, and no executable stack") {
  LinkWorld world;
  const std::string lib = world.tree().string() + "/lib";
  // libbar is found through libfoo alone, by the folder that must not reach the module.
  world.library("lib/libbar.so", "int bar() { return 5; }", {"-Wl,-soname,libbar.so"});
  world.library("lib/libfoo.so", "int bar(); int foo() { return bar(); }",
                {"-Wl,-soname,libfoo.so", "-Llib", "-lbar"});
  const Words run_paths = {"-Wl,-rpath," + lib + ":$ORIGIN/../lib",
                           "-Wl,-rpath=lib",
                           "-Xlinker",
                           "-rpath",
                           "-Xlinker",
                           "/opt/cuda",
                           "-Wl,-R," + lib,
                           "-Wl,-R" + lib};
  world.words = {"-L" + lib, "-lfoo", "-Wl,-z,execstack"};
  world.words.insert(world.words.end(), run_paths.begin(), run_paths.end());
  CHECK_FALSE(world.link());
  CHECK(dynamic_info(world.output()).run_paths == Words{"$ORIGIN/../lib"});
  CHECK(ElfView(world.output()).stack() == ElfStack::plain);
  CHECK(read_file(world.output()).find(lib) == std::string::npos);
  CHECK(RecordingReporter::any_has(world.reporter.warnings, "demo.ext gets no run path to " + lib));
  CHECK(world.link());
  // By a way that no word tells of
  world.put("specs", "*link:\n+ %{shared:-rpath /opt/hidden}\n\n");
  world.words = {"-L" + lib, "-lfoo", "-specs=" + world.tree().string() + "/specs"};
  CHECK_THROWS_MATCHES(world.link(), Error,
                       says("its run path '/opt/hidden' is a folder of this machine"));
}

TEST_CASE("a library without a soname is known by the name that the module will have for it") {
  const auto cache = std::make_shared<MemoryCache>();
  LinkWorld first(cache), second(cache);
  for (LinkWorld* world : {&first, &second}) {
    world->library("lib/libfoo.so", foo(1));
    world->words = {world->tree().string() + "/lib/libfoo.so"};
    CHECK_FALSE(world->link());
    CHECK(dynamic_info(world->output()).needed.front() ==
          world->tree().string() + "/lib/libfoo.so");
  }
}

TEST_CASE("what cannot be listed is linked every time, and that is said") {
  LinkWorld world;
  world.archive("lib/foo.a", foo(1));
  world.put("extra.c", "int extra;\n");
  world.put("a.specs", "\n");
  world.run_in_tree({"ar", "rcT", "lib/thin.a", "build/member.o"});
  const Words option = GENERATE(
      as<Words>{}, Words{"-flto"}, Words{"-Blib"}, Words{"-specs=a.specs"}, Words{"-fuse-ld=bfd"},
      Words{"-Wl,-Map,x.map"}, Words{"extra.c"}, Words{"lib/thin.a"}, Words{"-Wl,-dT,lib"});
  CAPTURE(option);
  world.words = {"lib/foo.a"};
  world.words.insert(world.words.end(), option.begin(), option.end());
  if (option.front() ==
      "-Wl,-dT,lib") {  // a folder that nobody knows what to do with: ld does not either
    CHECK_THROWS_AS(world.link(), Error);
  } else {
    CHECK_FALSE(world.link());
    CHECK_FALSE(world.link());
    CHECK(world.call() == 1);
  }
  CHECK(RecordingReporter::any_has(world.reporter.notes,
                                   "demo.ext is linked in every build, since '"));
}

TEST_CASE("without a list of what the linker read nothing is kept") {
  LinkWorld world;
  world.settings->lists_inputs = false;
  world.words = {"lib/foo.a"};
  world.archive("lib/foo.a", foo(1));
  CHECK_FALSE(world.link());
  world.archive("lib/foo.a", foo(2));
  CHECK_FALSE(world.link());
  CHECK(world.call() == 2);
  CHECK(world.reporter.notes.empty());  // who makes the settings says it, once
}

TEST_CASE("nothing is kept of tools that were replaced meanwhile") {
  LinkWorld world;
  world.words = {"lib/foo.a"};
  world.archive("lib/foo.a", foo(1));
  world.tools_are_same = false;
  CHECK_THROWS_AS(world.link(), Error);
  world.tools_are_same = true;
  CHECK_FALSE(world.link());
}

TEST_CASE("a stub stands in for the driver, wherever it is made") {
  const auto cache = std::make_shared<MemoryCache>();
  LinkWorld first(cache), second(cache);
  for (LinkWorld* world : {&first, &second}) {
    world->compile(
        "main", "extern \"C\" int cuInit(unsigned); extern \"C\" int call() { return cuInit(0); }");
    world->words = {"-Llib", "-lcuda", "-Wl,--no-undefined"};
  }
  first.require_kept();
  CHECK(dynamic_info(first.output()).needed.front() == "libcuda.so.1");
  CHECK(second.link());
  CHECK(read_file(second.output()) == read_file(first.output()));
  // Another function of the driver's is another stub.
  first.compile("main", "extern \"C\" int cuExit(); extern \"C\" int call() { return cuExit(); }");
  CHECK_FALSE(first.link());
  // One that the project has is found before ours.
  second.library("lib/libcuda.so", "extern \"C\" int cuInit(unsigned) { return 5; }",
                 {"-Wl,-soname,own"});
  CHECK_FALSE(second.link());
  CHECK(dynamic_info(second.output()).needed.front() == "own");
}

struct Outcome {
  bool linked = false;
  std::string text;
};

Outcome try_link(LinkWorld& world) {
  try {
    world.link();
    return {true, ""};
  } catch (const Error& error) {
    return {false, error.rendered()};
  }
}

TEST_CASE("a symbol that nothing exports is an error which names it and the module") {
  LinkWorld world;
  const Outcome outcome = try_link(world);
  CHECK_FALSE(outcome.linked);
  CHECK(outcome.text.find("module 'demo.ext' cannot be imported: undefined symbol 'foo()'") !=
        std::string::npos);
  CHECK(misfit_of_objects({Stage::module, outcome.text}));
  CHECK_FALSE(try_link(world).linked);  // it was not kept
}

TEST_CASE("a link that fails says whether other objects may help") {
  LinkWorld world;
  world.words = {"-Wl,--no-undefined"};
  const auto missing = misfit_of_objects({Stage::module, try_link(world).text});
  REQUIRE(missing);
  CHECK(missing->find("undefined reference to `foo()'") != std::string::npos);
  world.words = {"build/main.o"};
  CHECK(misfit_of_objects({Stage::module, try_link(world).text}));  // twice the same
  world.words = {"-lsagebuild_has_no_such_library"};
  CHECK_FALSE(misfit_of_objects({Stage::module, try_link(world).text}));
}

TEST_CASE("each provider of a symbol counts, and what it needs in turn") {
  LinkWorld world;
  const std::string place =
      GENERATE(as<std::string>{}, "needed", "in turn", "program", "program's", "folder", "weak");
  CAPTURE(place);
  if (place == "needed") {
    world.library("lib/libfoo.so", foo(1));
    world.words = {"-Llib", "-lfoo"};
  } else if (place == "in turn") {
    world.library("lib/libinner.so", foo(1), {"-Wl,-soname,libinner.so"});
    world.library("lib/libouter.so", "int outer;", {"-Llib", "-Wl,--no-as-needed", "-linner"});
    world.words = {"-Llib", "-Wl,--no-as-needed,--unresolved-symbols=ignore-all", "-louter"};
  } else if (place == "program") {
    world.run_in_tree({"g++", "-rdynamic", "-x", "c++", "-", "-o", "python"},
                      foo(1) + " int main() {}");
    world.settings->provider_files = {world.tree() / "python"};
  } else if (place == "program's") {
    world.library("lib/libpython.so", foo(1), {"-Wl,-soname,libpython.so"});
    world.run_in_tree({"g++", "-x", "c++", "-", "-x", "none", "-Wl,--no-as-needed", "-Llib",
                       "-lpython", "-Wl,-rpath,$ORIGIN/lib", "-o", "python"},
                      "int main() {}");
    world.settings->provider_files = {world.tree() / "python"};
  } else if (place == "folder") {
    world.library("providers/libfoo.so.2", foo(1));
    world.put("providers/broken.so", "\177ELF and no more");
  } else {
    world.compile(
        "main",
        "__attribute__((weak)) int foo(); extern \"C\" int call() { return foo ? foo() : 1; }");
  }
  const Outcome outcome = try_link(world);
  CHECK(outcome.text == "");
  CHECK(outcome.linked);
  CHECK(world.link());

  if (place != "program" && place != "folder") return;
  // Who exported it is an input: without it the answer would be another.
  if (place == "program")
    world.run_in_tree({"g++", "-x", "c++", "-", "-o", "python"}, "int main() {}");
  if (place == "folder") world.library("providers/libfoo.so.2", "int bar;");
  CHECK_FALSE(try_link(world).linked);
}

}  // namespace
}  // namespace sagebuild
