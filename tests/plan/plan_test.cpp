#include "sagebuild/plan/plan.hpp"

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace sagebuild {
namespace {

RecordedModule module(std::string name, std::string source) {
  RecordedModule recorded;
  recorded.name = "pkg." + name;
  recorded.output = "pkg/" + name + ".so";
  recorded.sources.push_back({"/tree/" + source, "/tree/o/" + source + ".o", Language::cuda, {"nvcc"}, "/tree"});
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
  return {{module("_fused", "fused.cu"), module("_sm89", "q89.cu"), module("_sm90", "q90.cu")}, "/w.whl"};
}

std::string targets_of(const BuildPlan& plan, std::string_view name) {
  for (const PlannedModule& planned : plan.modules) {
    if (planned.name == name) return describe(planned.sources[0].targets);
  }
  return "none";
}

}  // namespace

TEST_CASE("each module gets the targets of its own row, made from the row's virtual architecture") {
  const BuildPlan plan = make_plan(recorded(), recipe(), parse_arch_list("8.0 8.6 8.9 9.0 12.0+PTX"));
  CHECK(targets_of(plan, "pkg._fused") == "sm_80, sm_89, sm_120, compute_120");
  CHECK(targets_of(plan, "pkg._sm89") == "sm_89, sm_90 (from compute_89), sm_120, compute_120");
  CHECK(targets_of(plan, "pkg._sm90") == "sm_90a");
  CHECK(plan.dropped.empty());
  CHECK(plan.warnings.empty());
  CHECK(plan.modules[0].sources[1].targets.empty());
  CHECK(plan.modules[0].sources[0].cxx_standard == "c++20");
}

TEST_CASE("a module without targets is dropped with its reason") {
  const BuildPlan plan = make_plan(recorded(), recipe(), parse_arch_list("8.9"));
  REQUIRE(plan.dropped.size() == 1);
  CHECK(plan.dropped[0].name == "pkg._sm90");
  CHECK(plan.dropped[0].reason == "no target for 8.9: wgmma exists on 9.0a alone");
}

TEST_CASE("PTX goes only where the recipe says that it is worth something") {
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("8.0+PTX 9.0a+PTX")), "pkg._fused") == "sm_80");
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("9.0+PTX")), "pkg._sm89") ==
        "sm_90 (from compute_89), compute_89");
  CHECK(targets_of(make_plan(recorded(), recipe(), parse_arch_list("8.9 compute_120")), "pkg._fused") ==
        "sm_89, compute_120");
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

TEST_CASE("an architecture that no module serves is refused; without a recipe all is built for all") {
  CHECK_THROWS_MATCHES(make_plan(recorded(), recipe(), parse_arch_list("8.9 11.0")), Error,
                       says("can be built for 11.0").hints("leave 11.0 out"));
  const BuildPlan plan = make_plan(recorded(), std::nullopt, parse_arch_list("11.0+PTX 9.0a"));
  CHECK(targets_of(plan, "pkg._sm90") == "sm_90a, sm_110, compute_110");
}

TEST_CASE("the plan is shown as a table and as one JSON document, with what is expected of each source") {
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
  CHECK(table.find("pkg._sm89   q89.cu    sm_89    about 1m05s, plain nvcc: -rdc\n") != std::string::npos);
  CHECK(table.find("pkg._sm90   left out: no target for 8.9") != std::string::npos);
  CHECK(table.find("4 sources, 2 cached; at most 1m12s of CPU time in 1m05s, 3.2 GB of memory\n") != std::string::npos);
  CHECK(table.find("asked for") == std::string::npos);
  const BuildPlan hopper = make_plan(recorded(), recipe(), parse_arch_list("9.0"));
  const BuildForecast free{{{true, "", "", 0}, {true, "", "", 0}, {true, "", "", 0}, {true, "", "", 0}}, 0, 0, 0};
  CHECK(table_of(hopper, free).find("why:\n  pkg._sm89 sm_90 (from compute_89): same PTX\n") != std::string::npos);
  const auto document = nlohmann::json::parse(json_of(plan, forecast));
  CHECK(document["schema"] == "sagebuild.plan/1");
  CHECK(document["modules"][0]["sources"][0]["targets"][0]["code"][0] == "sm_89");
  CHECK(document["modules"][0]["sources"][0]["cached"] == true);
  CHECK(document["modules"][1]["sources"][0]["mode_reason"] == "-rdc");
  CHECK(document["wall_seconds"] == 65);
  CHECK_FALSE(nlohmann::json::parse(json_of(plan)).contains("wall_seconds"));
}

}  // namespace sagebuild
