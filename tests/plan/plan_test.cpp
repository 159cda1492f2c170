#include "sagebuild/plan/plan.hpp"

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace sagebuild {
namespace {

RecordedModule module(std::string name, std::string source) {
  RecordedModule recorded;
  recorded.name = "pkg." + name;
  recorded.output = "pkg/" + name + ".so";
  recorded.sources.push_back(
      {"/tree/" + source, "/tree/o/" + source + ".o", Language::cuda, {"nvcc"}, "/tree"});
  recorded.sources.push_back({"/tree/bind.cpp", "/tree/o/bind.o", Language::cxx, {"g++"}, "/tree"});
  return recorded;
}

RecipeTarget native(const char* arch, bool ptx) {
  return {parse_arch(arch), parse_arch(arch), parse_arch(arch), ptx, "native"};
}

// The shape of SageAttention: FP8 from 8.9 on, one module for Hopper alone.
Recipe recipe() {
  Recipe recipe;
  recipe.name = "pkg";
  recipe.modules = {
      {"pkg._fused",
       {native("8.0", false),
        {parse_arch("8.6"), parse_arch("8.0"), parse_arch("8.0"), false, "the 8.0 code serves 8.6"},
        native("8.9", true),
        native("12.0", true)},
       "FP8 below 8.9 is a trap"},
      {"pkg._sm89",
       {native("8.9", true),
        {parse_arch("9.0"), parse_arch("8.9"), parse_arch("9.0"), true, "same PTX"},
        native("12.0", true)},
       "FP8"},
      {"pkg._sm90",
       {{parse_arch("9.0"), parse_arch("9.0a"), parse_arch("9.0a"), false, "wgmma"}},
       "wgmma exists on 9.0a alone"},
  };
  return recipe;
}

RecordedBuild recorded() {
  return {{module("_fused", "fused.cu"), module("_sm89", "q89.cu"), module("_sm90", "q90.cu")},
          "/w.whl"};
}

std::string targets_of(const BuildPlan& plan, std::string_view name) {
  for (const PlannedModule& planned : plan.modules) {
    if (planned.name == name) return describe(planned.sources[0].targets);
  }
  return "none";
}

}  // namespace

TEST_CASE("each module gets the targets of its own row, made from the row's virtual architecture") {
  const BuildPlan plan =
      make_plan(recorded(), recipe(), parse_arch_list("8.0 8.6 8.9 9.0 12.0+PTX"));
  CHECK(targets_of(plan, "pkg._fused") == "sm_80, sm_89, sm_120, compute_120");
  CHECK(targets_of(plan, "pkg._sm89") == "sm_89, sm_90 (from compute_89), sm_120, compute_120");
  CHECK(targets_of(plan, "pkg._sm90") == "sm_90a");
  CHECK(plan.dropped.empty());
  CHECK(plan.warnings.empty());
  CHECK(plan.modules[0].sources[1].targets.empty());
}

TEST_CASE("a source is compiled as setup.py says, or for the standard of torch's headers") {
  const auto standard = [](std::vector<std::string> words, const Version& torch) {
    RecordedModule recorded = module("_x", "x.cu");
    auto& argv = recorded.sources[0].argv;
    argv.insert(argv.end(), words.begin(), words.end());
    BuildPlan plan = make_plan({{recorded}, "/w.whl"}, std::nullopt, parse_arch_list("8.9"));
    raise_standard(plan, torch);
    const auto source = nlohmann::json::parse(json_of(plan))["modules"][0]["sources"][0];
    CHECK(plan.modules[0].sources[0].recorded.argv == argv);
    return source["standard"].get<std::string>();
  };
  const Version older{2, 12, 1}, newer{2, 13};
  CHECK(standard({"-std=c++17"}, older) == "c++17");
  CHECK(standard({"-std=c++17"}, newer) == "c++20");
  CHECK(standard({"--std", "gnu++1z"}, newer) == "gnu++20");
  CHECK(standard({"-std=c++20", "-std", "c++14"}, older) == "c++17");
  CHECK(standard({"-std=gnu++1y"}, older) == "gnu++17");
  CHECK(standard({"-std=c++14"}, {2, 0, 1}) == "c++14");
  CHECK(standard({"-std=c++11"}, {}) == "c++11");
  CHECK(standard({"-std=c++14", "-std=c++23"}, newer) == "c++23");
  CHECK(standard({"--std=gnu++2a"}, newer) == "gnu++2a");
  CHECK(standard({}, older) == "");
  CHECK(standard({}, newer) == "c++20");

  RecordedModule c = module("_c", "c.cu");
  c.sources[1].language = Language::c;
  BuildPlan plan = make_plan({{c}, "/w.whl"}, std::nullopt, parse_arch_list("8.9"));
  raise_standard(plan, newer);
  CHECK(plan.modules[0].sources[0].cxx_standard == "c++20");
  CHECK(plan.modules[0].sources[1].cxx_standard == "");
}

TEST_CASE("a module without targets is dropped with its reason") {
  const BuildPlan plan = make_plan(recorded(), recipe(), parse_arch_list("8.9"));
  REQUIRE(plan.dropped.size() == 1);
  CHECK(plan.dropped[0].name == "pkg._sm90");
  CHECK(plan.dropped[0].reason == "no target for 8.9: wgmma exists on 9.0a alone");
}

TEST_CASE("PTX goes only where the recipe says that it is worth something") {
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("8.0+PTX 9.0a+PTX")),
                   "pkg._fused") == "sm_80");
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("9.0+PTX")), "pkg._sm89") ==
        "sm_90 (from compute_89), compute_89");
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("8.9 compute_120")),
                   "pkg._fused") == "sm_89, compute_120");
}

TEST_CASE("a list that leaves a GPU on trap stubs is warned of") {
  for (const char* list : {"8.0+PTX 12.0", "8.0 compute_89"}) {  // both ask for the GPUs of 8.9
    const BuildPlan plan = make_plan(recorded(), recipe(), parse_arch_list(list));
    REQUIRE(plan.warnings.size() == 1);
    CHECK(plan.warnings[0].find("a GPU of 8.9 would load pkg._fused's code") != std::string::npos);
  }
  for (const char* list : {"8.0 12.0", "rtx3090", "8.0 12.0+PTX"})  // nobody asked for a 4090
    CHECK(make_plan(recorded(), recipe(), parse_arch_list(list)).warnings.empty());
}

TEST_CASE(
    "an architecture that no module serves is refused; without a recipe all is built for all") {
  CHECK_THROWS_MATCHES(make_plan(recorded(), recipe(), parse_arch_list("8.9 11.0")), Error,
                       says("can be built for 11.0").hints("leave 11.0 out: --arch \"8.9\""));
  CHECK(print(make_plan(recorded(), recipe(), parse_arch_list("8.9 11.0"), true).archs) == "8.9");
  const BuildPlan plan = make_plan(recorded(), std::nullopt, parse_arch_list("11.0+PTX 9.0a"));
  CHECK(targets_of(plan, "pkg._sm90") == "sm_90a, sm_110, compute_110");
}

TEST_CASE("a package without device code is planned, whatever the list") {
  RecordedModule cpu = module("_cpu", "op.cpp");
  cpu.sources[0].language = Language::cxx;
  const BuildPlan plan = make_plan({{cpu}, "/w.whl"}, std::nullopt, parse_arch_list("8.6"));
  REQUIRE(plan.modules.size() == 1);
  CHECK(plan.modules[0].sources.size() == 2);
  CHECK(plan.warnings.empty());
}

namespace {

RecordedModule flagged(std::string name, std::vector<std::string> flags) {
  RecordedModule recorded = module(std::move(name), "k.cu");
  auto& argv = recorded.sources[0].argv;
  argv.insert(argv.end(), flags.begin(), flags.end());
  return recorded;
}

std::string own_targets_of(std::vector<std::string> flags, std::string_view archs) {
  const RecordedBuild build{{flagged("_any", {}), flagged("_x", std::move(flags))}, "/w.whl"};
  return targets_of(make_plan(build, std::nullopt, parse_arch_list(archs)), "pkg._x");
}

}  // namespace

TEST_CASE(
    "without a recipe a module's own feature targets are kept, and nothing else is made of it") {
  const std::vector<std::string> hopper = {"-gencode", "arch=compute_90a,code=sm_90a"};
  const RecordedBuild build{
      {flagged("_any", {"-gencode", "arch=compute_80,code=sm_80"}), flagged("_hop", hopper)},
      "/w.whl"};
  const BuildPlan plan = make_plan(build, std::nullopt, parse_arch_list("8.0 9.0+PTX 12.0"));
  CHECK(targets_of(plan, "pkg._any") == "sm_80, sm_90, compute_90, sm_120");
  CHECK(targets_of(plan, "pkg._hop") == "sm_90a");
  REQUIRE(plan.warnings.size() == 1);
  CHECK(plan.warnings[0] ==
        "module 'pkg._hop' has no code for 8.0 compute_90 12.0: setup.py has 'k.cu' compiled for "
        "sm_90a alone");

  const BuildPlan without = make_plan(build, std::nullopt, parse_arch_list("8.0"));
  CHECK(targets_of(without, "pkg._hop") == "none");
  REQUIRE(without.dropped.size() == 1);
  CHECK(without.dropped[0].reason ==
        "no code for 8.0: setup.py has 'k.cu' compiled for sm_90a alone");
  CHECK(without.warnings.size() == 1);

  const RecordedBuild alone{{flagged("_hop", hopper)}, "/w.whl"};
  CHECK_THROWS_MATCHES(make_plan(alone, std::nullopt, parse_arch_list("8.0 9.0")), Error,
                       says("be built for 8.0"));
  CHECK(print(make_plan(alone, std::nullopt, parse_arch_list("8.0 9.0"), true).archs) == "9.0");
  CHECK_THROWS_MATCHES(make_plan(alone, std::nullopt, parse_arch_list("8.0"), true), Error,
                       says("be built for 8.0").hints("give --arch"));
}

TEST_CASE("every spelling in which a setup.py names feature targets is read") {
  CHECK(own_targets_of({"-gencode=arch=compute_90a,code=[sm_90a,compute_90a]"}, "8.0 9.0") ==
        "sm_90a");
  CHECK(own_targets_of({"--generate-code", "arch=compute_120f,code=sm_120f"}, "12.0 12.1") ==
        "sm_120f");
  CHECK(own_targets_of({"-arch=sm_90a"}, "8.0 9.0") == "sm_90a");
  CHECK(own_targets_of({"--gpu-architecture", "compute_100a", "--gpu-code", "sm_100a"},
                       "10.0 12.0") == "sm_100a");
  CHECK(own_targets_of({"-gencode", "arch=compute_120a,code=sm_120a"}, "12.1") == "none");
  CHECK(own_targets_of({"-gencode", "arch=compute_130a,code=sm_130a"}, "12.0") == "none");
  // Code and PTX that setup.py itself has made for older GPUs serve as they would in its own build.
  const std::vector<std::string> mixed = {"-gencode", "arch=compute_80,code=[sm_80,compute_80]",
                                          "-gencode", "arch=compute_90a,code=sm_90a"};
  CHECK(own_targets_of(mixed, "8.6 9.0") == "sm_80, sm_90a");
  CHECK(own_targets_of(mixed, "9.0a 12.0") == "compute_80, sm_90a");
  CHECK(own_targets_of(mixed, "8.0+PTX") == "sm_80, compute_80");
  CHECK(own_targets_of({"-gencode", "arch=compute_100f,code=compute_100f"}, "10.3") ==
        "compute_100f");
}

TEST_CASE(
    "what names plain architectures, or leaves the choice to torch, is built for what was asked") {
  CHECK(own_targets_of({"-gencode", "arch=compute_80,code=sm_80"}, "8.6 12.0+PTX") ==
        "sm_86, sm_120, compute_120");
  CHECK(own_targets_of({"-arch=native"}, "8.6 9.0a") == "sm_86, sm_90a");
  CHECK(own_targets_of({}, "9.0a 12.0") == "sm_90a, sm_120");
}

TEST_CASE(
    "an object that the link needs is made of what setup.py names, even where nobody asked for "
    "that") {
  RecordedModule mixed = flagged("_m", {"-gencode", "arch=compute_80,code=sm_80"});
  mixed.sources.push_back(flagged("_m", {"-gencode", "arch=compute_90a,code=sm_90a"}).sources[0]);
  const BuildPlan plan = make_plan({{mixed}, "/w.whl"}, std::nullopt, parse_arch_list("8.0"));
  REQUIRE(plan.modules.size() == 1);
  CHECK(describe(plan.modules[0].sources[0].targets) == "sm_80");
  CHECK(describe(plan.modules[0].sources[2].targets) == "sm_90a");
  CHECK(plan.warnings.size() == 1);
}

TEST_CASE("a recipe does not take a module's feature targets from it by not knowing the module") {
  const RecordedBuild build{{module("_fused", "f.cu"), flagged("_new", {"-arch=sm_120a"})},
                            "/w.whl"};
  CHECK(targets_of(make_plan(build, recipe(), parse_arch_list("8.0 12.0")), "pkg._new") ==
        "sm_120a");
}

TEST_CASE(
    "the plan is shown as a table and as one JSON document, with what is expected of each source") {
  const BuildPlan plan = make_plan(recorded(), recipe(), parse_arch_list("8.9"));
  const BuildForecast forecast{{{true, "full headers", "", 0},
                                {false, "full headers", "", 7},
                                {false, "plain nvcc", "-rdc", 65},
                                {true, "full headers", "", 0}},
                               72,
                               65,
                               3ULL << 30U};
  const std::string table = table_of(plan, forecast);
  CHECK(table.find("pkg._fused  fused.cu  sm_89    cached\n") != std::string::npos);
  CHECK(table.find("pkg._fused  bind.cpp  host     about 7.0s\n") != std::string::npos);
  CHECK(table.find("pkg._sm89   q89.cu    sm_89    about 1m05s, plain nvcc: -rdc\n") !=
        std::string::npos);
  CHECK(table.find("pkg._sm90   left out: no target for 8.9") != std::string::npos);
  CHECK(table.find("4 sources, 2 cached; at most 1m12s of CPU time in 1m05s, 3.2 GB of memory\n") !=
        std::string::npos);
  CHECK(table.find("asked for") == std::string::npos);
  const BuildPlan hopper = make_plan(recorded(), recipe(), parse_arch_list("9.0"));
  BuildForecast in_parts = forecast;
  in_parts.sources[2] = {false, "facade headers", "", 65, 4};
  CHECK(table_of(plan, in_parts).find("about 1m05s, in 4 parts\n") != std::string::npos);
  CHECK(nlohmann::json::parse(json_of(plan, in_parts))["modules"][1]["sources"][0]["parts"] == 4);
  const BuildForecast free{
      {{true, "", "", 0}, {true, "", "", 0}, {true, "", "", 0}, {true, "", "", 0}}, 0, 0, 0};
  CHECK(table_of(hopper, free).find("why:\n  pkg._sm89 sm_90 (from compute_89): same PTX\n") !=
        std::string::npos);
  const auto document = nlohmann::json::parse(json_of(plan, forecast));
  CHECK(document["schema"] == "sagebuild.plan/2");
  CHECK(document["modules"][0]["sources"][0]["targets"][0]["from"] == "compute_89");
  CHECK(document["modules"][0]["sources"][0]["targets"][0]["code"][0] == "sm_89");
  CHECK(document["modules"][0]["sources"][0]["cached"] == true);
  CHECK(document["modules"][1]["sources"][0]["mode_reason"] == "-rdc");
  CHECK(document["wall_seconds"] == 65);
  CHECK_FALSE(nlohmann::json::parse(json_of(plan)).contains("wall_seconds"));
}

}  // namespace sagebuild
