// The ways from objects to a module, with this machine's g++ and ld.
#include "sagebuild/link/module.hpp"

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"
#include "support/memory_cache.hpp"
#include "support/recording_reporter.hpp"
#include "support/run_steps.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// A function of the bridge's, as an object of a source that has the facade asks for it.
constexpr const char* kAsksBridge =
    "namespace sagebuild_bridge { int ask(); } extern \"C\" int call() { return "
    "sagebuild_bridge::ask(); }";
constexpr const char* kAsksMissing = "int missing(); extern \"C\" int call() { return missing(); }";
constexpr const char* kComplete = "extern \"C\" int call() { return 1; }";

// A module of one object, whose text is chosen for each time that it is compiled.
struct ModuleWorld {
  TempDir folder{"module-world"};
  MemoryCache cache;
  RecordingReporter reporter;
  std::vector<Remake> remade;
  PlannedModule module;
  ModuleMaking making;
  bool bridge_fits = true;

  ModuleWorld() {
    auto link = std::make_shared<LinkSettings>();
    link->work = path("link");
    link->host_compiler = "g++";
    link->library_folders = {"/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"};
    link->tools_unchanged = [] { return true; };
    link->cache = &cache;
    link->reporter = &reporter;
    making.link = std::move(link);
    making.bridge_fits = [this] { return bridge_fits; };
    making.remake = [this](const PlannedModule&, Remake remake) {
      remade.push_back(remake);
      return again(kComplete);
    };
    module.name = "demo.ext";
    module.link = {"g++", "-shared", "main.o", "-o", "ext.so"};
    module.link_cwd = folder.path();
  }

  fs::path path(const std::string& name) const { return folder.path() / name; }
  Command compile(const std::string& name, const std::string& text) const {
    Command command{.argv = {"g++", "-fPIC", "-x", "c++", "-c", "-", "-o", path(name)}};
    command.input = text;
    return command;
  }
  ObjectSteps again(const std::string& text) const {
    Step step{.kind = "g++", .subject = "again", .label = "again"};
    step.command = [command = compile("again.o", text)] { return command; };
    return {{step}, {{path("main.o"), path("again.o")}}};
  }
  void with_bridge() {
    run_checked(compile("bridge.o", "namespace sagebuild_bridge { int ask() { return 2; } }"), "");
    making.bridge = path("bridge.o");
  }
  void make(const std::string& text) {
    run_checked(compile("main.o", text), "");
    StepRunner(cache).run(
        module_step(module, {{path("main.o"), path("main.o")}}, path("done.so"), making));
  }
};

}  // namespace

TEST_CASE("the bridge is linked into a module whose objects ask for it, and into no other") {
  ModuleWorld world;
  world.with_bridge();
  const bool asks = GENERATE(true, false);
  world.make(asks ? kAsksBridge : kComplete);
  bool has_bridge = false;
  each_exported_symbol(world.path("done.so"), [&](std::string_view name) {
    has_bridge = has_bridge || name.find("sagebuild_bridge") != std::string_view::npos;
  });
  CHECK(has_bridge == asks);
  CHECK(world.remade.empty());
}

TEST_CASE("objects that ask for a bridge which this torch cannot have are made without") {
  ModuleWorld world;
  world.with_bridge();
  world.bridge_fits = false;
  world.make(kAsksBridge);
  CHECK(world.remade == std::vector{Remake::without_bridge});
}

TEST_CASE("objects that do not fit each other are made once more with torch's own headers") {
  ModuleWorld world;
  world.make(kAsksMissing);
  CHECK(world.remade == std::vector{Remake::full_headers});
  REQUIRE(world.reporter.notes.size() >= 1);
  CHECK(world.reporter.notes.back().find("demo.ext is made again with torch's own headers") == 0);
}

TEST_CASE("with torch's own headers there is no other way, nor for a link that fails otherwise") {
  ModuleWorld world;
  const bool misfit = GENERATE(true, false);
  world.making.has_full_headers = misfit;
  if (!misfit) world.module.link.insert(world.module.link.end() - 2, "-lsagebuild_has_no_such");
  CHECK_THROWS_AS(world.make(misfit ? kAsksMissing : kComplete), Error);
  CHECK(world.remade.empty());
}

}  // namespace sagebuild
