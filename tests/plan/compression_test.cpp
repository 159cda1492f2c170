#include "sagebuild/plan/compression.hpp"

#include "sagebuild/base/error.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using Words = std::vector<std::string>;

BuildPlan plan_of(const Words& argv) {
  PlannedSource device;
  device.recorded.source = "csrc/a.cu";
  device.recorded.argv = argv;
  device.targets = {Target{}};
  PlannedSource host;
  host.recorded.argv = {"g++"};
  BuildPlan plan;
  plan.modules = {{"pkg._a", "pkg/_a.so", {device, host}, {}, {}}};
  return plan;
}

// What is added to nvcc's words.
Words added(Compression compression, const Version& cuda, const Words& argv = {"nvcc", "-O3"}) {
  BuildPlan plan = plan_of(argv);
  set_compression(plan, compression, cuda, {});
  CHECK(plan.modules[0].sources[1].recorded.argv == Words{"g++"});
  const Words& now = plan.modules[0].sources[0].recorded.argv;
  CHECK(now.front() == argv.front());
  CHECK(Words(now.end() - static_cast<std::ptrdiff_t>(argv.size() - 1), now.end()) ==
        Words(argv.begin() + 1, argv.end()));
  return {now.begin() + 1, now.end() - static_cast<std::ptrdiff_t>(argv.size() - 1)};
}

TEST_CASE("GPU code is compressed where all drivers of the toolkit read it") {
  const Words all = {"--compress-mode=balance", "-Xfatbin=-compress-all"};
  CHECK(added(Compression::automatic, {13, 0}) == all);
  CHECK(added(Compression::automatic, {13, 2, 78}) == all);
  CHECK(added(Compression::automatic, {12, 9}).empty());
  CHECK(added(Compression::automatic, {12, 4}).empty());
  CHECK(added(Compression::project, {13, 0}).empty());
  CHECK(added(Compression::size, {13, 0}) == Words{"--compress-mode=size"});
  CHECK(added(Compression::size, {12, 8}) == Words{"--compress-mode=size"});
  CHECK_THROWS_MATCHES(added(Compression::size, {12, 4}), Error,
                       says("nvcc 12.4 cannot do --compress size").hints("12.8"));
}

TEST_CASE("what setup.py says of compression counts") {
  for (const Words& own :
       {Words{"--compress-mode=none"}, Words{"-compress-mode", "size"}, Words{"-no-compress"},
        Words{"--no-compress"}, Words{"-Xfatbin", "-compress-all"}, Words{"-Xfatbin=-compress-all"},
        Words{"--fatbin-options=--compress-all"}, Words{"-Xfatbin=--compress=false"},
        Words{"-optf", "x"}, Words{"--options-file=x"}}) {
    Words argv = {"nvcc"};
    argv.insert(argv.end(), own.begin(), own.end());
    CAPTURE(own);
    CHECK(added(Compression::automatic, {13, 0}, argv).empty());
    BuildPlan plan = plan_of(argv);
    set_compression(plan, Compression::size, {13, 0}, {});
    CHECK(plan.modules[0].sources[0].recorded.argv == argv);
    REQUIRE(plan.warnings.size() == 1);
    CHECK_THAT(plan.warnings[0], Catch::Contains("a.cu"));
  }
  CHECK(added(Compression::automatic, {13, 0},
              {"nvcc", "-DMODE=no-compress", "-DX=--compress-mode", "compress-mode.cu"})
            .size() == 2);
}

TEST_CASE("what NVCC_APPEND_FLAGS and its kin say of compression counts") {
  for (const Compression one : {Compression::automatic, Compression::size}) {
    BuildPlan plan = plan_of({"nvcc"});
    set_compression(plan, one, {13, 0}, {"-O3", "--compress-mode=none"});
    CHECK(plan.modules[0].sources[0].recorded.argv == Words{"nvcc"});
    CHECK(plan.warnings.size() == (one == Compression::size ? 1 : 0));
  }
}

TEST_CASE("ways to compress have names") {
  for (const Compression one : {Compression::automatic, Compression::project, Compression::size})
    CHECK(compression_named(name_of(one)) == one);
  CHECK_FALSE(compression_named("best"));
}

}  // namespace
}  // namespace sagebuild
