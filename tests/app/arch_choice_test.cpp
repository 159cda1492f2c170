#include "sagebuild/app/arch_choice.hpp"

#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

Recipe recipe_for(std::string_view archs) {
  Recipe recipe;
  recipe.name = "pkg";
  recipe.modules.push_back({"pkg._C", {}, "reason"});
  for (const ArchRequest& request : parse_arch_list(archs))
    recipe.modules[0].targets.push_back({request.arch, request.arch, request.arch, false, ""});
  return recipe;
}

}  // namespace

TEST_CASE("an inherited list is no error for what this code or this toolkit cannot serve") {
  RecordingReporter report;
  const ArchChoice image{"7.0 7.5 8.0 11.0 12.0+PTX 13.0", "TORCH_CUDA_ARCH_LIST", true};
  CHECK(print(choose_archs(image, recipe_for("8.0 9.0 12.0"), Version{13, 0}, report)) ==
        "8.0 12.0+PTX");
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings[0].find(
            "13.0 is not known; 7.0 went away in CUDA 13.0; recipe 'pkg' has no code for 7.5; "
            "recipe 'pkg' has no code for 11.0") != std::string::npos);
  // The floor is the toolkit's and the recipe's: without a recipe 7.5 is built, and 11.0 too.
  CHECK(print(choose_archs(image, std::nullopt, Version{13, 0}, report)) ==
        "7.5 8.0 11.0 12.0+PTX");
  CHECK(print(choose_archs(image, std::nullopt, Version{12, 4}, report)) == "7.0 7.5 8.0");
  CHECK_THROWS_MATCHES(
      choose_archs({"7.0 13.0", "TORCH_CUDA_ARCH_LIST", true}, {}, Version{13, 0}, report), Error,
      says("names nothing that can be built").hints("give --arch"));
}

TEST_CASE("what the user wrote for this build is taken as it is") {
  RecordingReporter report;
  CHECK(print(choose_archs({"7.5 11.0", "--arch", false}, recipe_for("8.0"), Version{13, 0},
                           report)) == "7.5 11.0");
  CHECK_THROWS_AS(
      choose_archs({"13.0", "--arch", false}, recipe_for("8.0"), Version{13, 0}, report), Error);
}

TEST_CASE("setup.py is recorded with a list that torch reads") {
  const auto for_torch = [](const char* list) { return archs_for_torch(parse_arch_list(list)); };
  CHECK(for_torch("8.0 9.0a 12.0+PTX") == "8.0;9.0a;12.0+PTX");
  CHECK(for_torch("9.0a 12.0f") == "9.0;12.0");
  CHECK(for_torch("8.8 compute_120") == "8.6;12.0+PTX");
}

}  // namespace sagebuild
