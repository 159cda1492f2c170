#include "patch/shapes.hpp"

#include <algorithm>
#include <random>
#include <set>

#include "sagebuild/plan/plan.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const std::string kGuideList = "8.0 8.6 8.9 9.0 12.0+PTX";

// What every shape from 2.1.0 on must build for a list.
const std::vector<std::pair<std::string, std::string>> kTable = {
    {kGuideList,
     "_fused: sm_80 sm_89 sm_90 sm_120 compute_120 | _qattn_sm80: sm_80 sm_90 sm_120 compute_120 | "
     "_qattn_sm89: sm_89 sm_90 sm_120 compute_120 | _qattn_sm90: sm_90a"},
    {"8.0", "_fused: sm_80 | _qattn_sm80: sm_80"},
    {"8.0 8.6", "_fused: sm_80 | _qattn_sm80: sm_80"},
    {"8.9+PTX",
     "_fused: sm_89 compute_89 | _qattn_sm80: sm_80 compute_80 | _qattn_sm89: sm_89 compute_89"},
    {"9.0", "_fused: sm_90 | _qattn_sm80: sm_90 | _qattn_sm89: sm_90 | _qattn_sm90: sm_90a"},
    {"12.0", "_fused: sm_120 | _qattn_sm80: sm_120 | _qattn_sm89: sm_120"},
    {"12.1", "_fused: sm_120 | _qattn_sm80: sm_120 | _qattn_sm89: sm_120"},
    {"8.0;8.6,9.0 12.0+PTX",
     "_fused: sm_80 sm_90 sm_120 compute_120 | _qattn_sm80: sm_80 sm_90 sm_120 compute_120 | "
     "_qattn_sm89: sm_90 sm_120 compute_120 | _qattn_sm90: sm_90a"},
    {"7.5 8.0", "_fused: sm_80 | _qattn_sm80: sm_80"},
};

}  // namespace

TEST_CASE("every shape is patched so that plain setuptools builds what the table says") {
  const RuleSet rules = shipped_rules("sageattention");
  std::vector<std::string> lists;
  for (const auto& [list, expected] : kTable) lists.push_back(list);
  for (const std::string& shape : kSageShapes) {
    INFO(shape);
    const PatchOutcome outcome = patch_text(rules, "setup.py", shape_text(shape));
    INFO(join(outcome.failures, "\n"));
    REQUIRE(outcome.failures.empty());
    CHECK(outcome.changed());
    if (shape == "v2_0") continue;  // has modules of its own
    const std::vector<std::string> rows = built_for(outcome.after, lists);
    for (std::size_t index = 0; index < rows.size(); ++index) {
      INFO(lists[index]);
      CHECK(rows[index] == kTable[index].second);
    }
  }
}

TEST_CASE("every spelling of one architecture means the same, and an unknown one is named") {
  const PatchOutcome outcome =
      patch_text(shipped_rules("sageattention"), "setup.py", shape_text("v2_2_main"));
  const std::vector<std::string> same = {"12.0",  "120",  "sm_120",   "SM_120",   "12.0a",
                                         "12.0f", "120a", " 12.0 ; ", "12.0,12.0"};
  for (const std::string& row : built_for(outcome.after, same)) {
    CHECK(row == "_fused: sm_120 | _qattn_sm80: sm_120 | _qattn_sm89: sm_120");
  }
  const std::vector<std::string> ptx = {"12.0+PTX", "12.0+ptx", "compute_120;sm_120",
                                        "sm_120 compute_120", "120+PTX"};
  for (const std::string& row : built_for(outcome.after, ptx)) {
    CHECK(row ==
          "_fused: sm_120 compute_120 | _qattn_sm80: sm_120 compute_120 | _qattn_sm89: sm_120 "
          "compute_120");
  }
  for (const std::string bad :
       {"9.9", "rtx5090", "Ada", "all", "8.0a", "9.0f", "8.0 sm_121x", "11.0"}) {
    INFO(bad);
    CHECK(built_for(outcome.after, {bad}).at(0).find("RuntimeError: unknown architecture '") == 0);
  }
  CHECK(built_for(outcome.after, {"8.0 9.9"}).at(0).find("unknown architecture '9.9'") !=
        std::string::npos);
  CHECK(built_for(outcome.after, {""}).at(0).find("set TORCH_CUDA_ARCH_LIST") != std::string::npos);
  CHECK(built_for(outcome.after, {"7.5"}).at(0).find("no architecture to build for") !=
        std::string::npos);
}

TEST_CASE("unpatched, the same list gives the known wrong builds") {
  // This is what the rules are for; when it fails, the fixture is no longer upstream's shape.
  CHECK(built_for(shape_text("v2_2_main"), {kGuideList}).at(0) ==
        "_fused: sm_80 compute_80 | _qattn_sm80: sm_80 compute_80");
  CHECK(built_for(shape_text("v2_2_0"), {"9.0;12.0"}).at(0).find("_qattn_sm90: sm_") !=
        std::string::npos);
  CHECK(built_for(shape_text("v2_1_1"), {"8.9"}).at(0).find("nothing to build for") !=
        std::string::npos);
}

TEST_CASE("version 2.0 says that it cannot serve sm_120, and from which version on it is served") {
  const PatchOutcome outcome =
      patch_text(shipped_rules("sageattention"), "setup.py", shape_text("v2_0"));
  CHECK(outcome.note.find("2.1.0") != std::string::npos);
  const auto rows = built_for(outcome.after, {"8.0 8.9 9.0", "8.9 12.0"});
  CHECK(rows[0] == "_fused: sm_80 sm_89 sm_90 | _qattn: sm_80 sm_89 sm_90");
  CHECK(rows[1].find("unknown architecture '12.0'") != std::string::npos);
  CHECK(rows[1].find("2.1.0 and later serve it") != std::string::npos);
}

TEST_CASE("version 1 is refused with the reason") {
  const PatchOutcome outcome =
      patch_text(shipped_rules("sageattention"), "setup.py", shape_text("v1"));
  REQUIRE(outcome.failures.size() == 1);
  CHECK(outcome.failures[0].find("pure Triton") != std::string::npos);
}

TEST_CASE("patching twice equals patching once, in every shape and with every line end") {
  const RuleSet rules = shipped_rules("sageattention");
  for (const std::string& shape : kSageShapes) {
    for (const bool crlf : {false, true}) {
      INFO(shape << " " << crlf);
      const std::string text = crlf ? replaced(shape_text(shape), "\n", "\r\n") : shape_text(shape);
      const PatchOutcome once = patch_text(rules, "setup.py", text);
      REQUIRE(once.failures.empty());
      const PatchOutcome twice = patch_text(rules, "setup.py", once.after);
      CHECK(twice.failures.empty());
      CHECK(twice.after == once.after);
      for (const AppliedRule& rule : twice.rules) CHECK(rule.already_done);
      const std::string bare = replaced(once.after, "\r\n", "");
      if (crlf) CHECK(bare.find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("a file indented with tabs stays indented with tabs") {
  const std::string text = replaced(shape_text("v2_2_main"), "    ", "\t");
  const PatchOutcome outcome = patch_text(shipped_rules("sageattention"), "setup.py", text);
  INFO(join(outcome.failures, "\n"));
  REQUIRE(outcome.failures.empty());
  CHECK(outcome.after.find("\n    ") == std::string::npos);
  CHECK(built_for(outcome.after, {"12.0"}).at(0) ==
        "_fused: sm_120 | _qattn_sm80: sm_120 | _qattn_sm89: sm_120");
}

TEST_CASE("minisage's own setup.py is patched, and builds as its table says") {
  const std::string text = read_file(source_folder() / "examples/minisage/setup.py");
  const PatchOutcome outcome = patch_text(shipped_rules("minisage"), "setup.py", text);
  INFO(join(outcome.failures, "\n"));
  REQUIRE(outcome.failures.empty());
  CHECK(built_for(outcome.after, {"8.0 8.9 12.0+PTX"}).at(0) ==
        "_fused: sm_80 sm_89 sm_120 compute_120 | _qattn_sm80: sm_80 sm_120 compute_120 | "
        "_qattn_sm89: sm_89 sm_120 compute_120");
  CHECK(built_for(text, {"8.0 8.9 12.0+PTX"}).at(0) ==
        "_fused: sm_80 compute_80 | _qattn_sm80: sm_80 compute_80");
}

TEST_CASE("the FP4 subproject is built for what is asked instead of for the local GPU") {
  const PatchOutcome outcome =
      patch_text(shipped_rules("sageattention3"), "setup.py", shape_text("sageattention3"));
  INFO(join(outcome.failures, "\n"));
  REQUIRE(outcome.failures.empty());
  const auto rows = built_for(outcome.after, {"10.0 12.0;sm_121", "12.0+PTX", "8.9"});
  CHECK(rows[0] ==
        "fp4attn_cuda: sm_100a sm_120a sm_121a | fp4quant_cuda: sm_100a sm_120a sm_121a");
  CHECK(rows[1] == "fp4attn_cuda: sm_120a | fp4quant_cuda: sm_120a");
  CHECK(rows[2].find("unknown architecture '8.9': this version serves 10.0, 12.0, 12.1") !=
        std::string::npos);
}

TEST_CASE("SpargeAttn takes 12.0 and +PTX, and says why 9.0 is not for the patched file") {
  const PatchOutcome outcome =
      patch_text(shipped_rules("spargeattn"), "setup.py", shape_text("spargeattn"));
  INFO(join(outcome.failures, "\n"));
  REQUIRE(outcome.failures.empty());
  const auto rows = built_for(outcome.after, {"8.0 8.9 12.0+PTX", "9.0"});
  CHECK(rows[0] ==
        "_fused: sm_80 sm_89 sm_120 compute_120 | _qattn: sm_80 sm_89 sm_120 compute_120");
  CHECK(rows[1].find("unknown architecture '9.0'") != std::string::npos);
  CHECK(outcome.note.find("H100") != std::string::npos);
}

TEST_CASE("the plan and a patched setup.py give every module the same targets, for any list") {
  const Recipe recipe = load_recipes(source_folder() / "patches").named("sageattention");
  const std::string setup =
      patch_text(shipped_rules("sageattention"), "setup.py", shape_text("v2_2_main")).after;
  RecordedBuild recorded;
  for (const std::string name : {"_fused", "_qattn_sm80", "_qattn_sm89", "_qattn_sm90"}) {
    RecordedModule module;
    module.name = "sageattention." + name;
    module.sources = {{"x.cu", "x.o", Language::cuda, {}, {}}};
    recorded.modules.push_back(module);
  }
  std::mt19937 random(89);
  const std::vector<std::string> items = {"8.0",  "8.6",  "8.7",  "8.9",  "9.0",
                                          "9.0a", "10.0", "10.3", "12.0", "12.1"};
  std::vector<std::string> lists;
  std::vector<std::string> planned;
  while (lists.size() < 60) {
    std::vector<std::string> list;
    for (const std::string& item : items) {
      if (random() % 3 == 0) list.push_back(item + (random() % 3 == 0 ? "+PTX" : ""));
    }
    if (list.empty()) continue;
    std::ranges::shuffle(list, random);
    lists.push_back(join(list, " "));
    std::vector<std::string> cells;
    for (const PlannedModule& module :
         make_plan(recorded, recipe, parse_arch_list(lists.back())).modules) {
      std::set<std::string> targets;
      for (const Target& target : module.sources.at(0).targets) {
        if (target.sass) targets.insert(sm_name(target.real));
        if (target.ptx) targets.insert(compute_name(target.virtual_arch));
      }
      cells.push_back(module.name.substr(module.name.find('.') + 1) + ": " +
                      join({targets.begin(), targets.end()}, " "));
    }
    planned.push_back(join(cells, " | "));
  }
  const std::vector<GencodeRow> table =
      gencode_table(setup, std::filesystem::temp_directory_path(), lists, plain_settings());
  for (std::size_t index = 0; index < lists.size(); ++index) {
    std::vector<std::string> cells;
    for (const auto& [module, targets] : table[index].modules) {
      const std::set<std::string> sorted(targets.begin(), targets.end());
      cells.push_back(module.substr(module.find('.') + 1) + ": " +
                      join({sorted.begin(), sorted.end()}, " "));
    }
    INFO(lists[index] << " " << table[index].error);
    CHECK(join(cells, " | ") == planned[index]);
  }
}

}  // namespace sagebuild
