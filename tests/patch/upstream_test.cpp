// Every setup.py that upstream ever had, in all branches and pull requests. Needs a git directory
// of thu-ml/SageAttention in SAGEBUILD_UPSTREAM_GIT; writes a table to SAGEBUILD_UPSTREAM_TABLE if
// that is set.

#include <fmt/format.h>

#include <map>

#include "patch/shapes.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const std::string kList = "8.0 8.6 8.9 9.0 12.0+PTX";
const std::string kBlackwell = "10.0 12.0 12.1";

std::string git(const std::string& directory, std::vector<std::string> arguments) {
  Command command;
  command.argv = {"git", "--git-dir", directory};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  return run_checked(command, "git failed").output;
}

struct Result {
  std::string shape;
  std::string rules;
  std::string verdict;
  std::string gencodes;
};

// Shortest form of a failure: the rules that did not fit.
std::string reason_of(const PatchOutcome& outcome) {
  std::vector<std::string> reasons;
  for (const std::string& failure : outcome.failures)
    reasons.push_back(failure.substr(0, failure.find("; nearest")));
  for (std::string& reason : reasons) reason = reason.substr(0, reason.find(" in 'setup.py'"));
  return join(reasons, "; ");
}

Result result_of(const RuleSet& rules, const std::string& text, const std::string& list) {
  const PatchOutcome outcome = patch_text(rules, "setup.py", text);
  if (!outcome.failures.empty()) return {outcome.shape, "", "refused: " + reason_of(outcome), ""};
  std::vector<std::string> ids;
  for (const AppliedRule& rule : outcome.rules) {
    if (!rule.already_done) ids.push_back(rule.id);
  }
  return {outcome.shape, join(ids, " "), outcome.changed() ? "patched" : "unchanged",
          built_for(outcome.after, {list}).at(0)};
}

std::string table_of(const std::string& directory, const std::string& path, const RuleSet& rules,
                     const std::string& list) {
  std::string table = "| commit | date | shape | result | rules | gencodes for `" + list +
                      "` |\n|---|---|---|---|---|---|\n";
  std::map<std::string, Result> by_blob;
  const std::string commits =
      git(directory, {"log", "--all", "--reverse", "--date=short", "--format=%h %ad", "--", path});
  for (const std::string_view line : lines_of(commits)) {
    const std::string commit(line.substr(0, line.find(' ')));
    const std::string listing = git(directory, {"ls-tree", commit, "--", path});
    if (listing.empty()) continue;  // deleted there
    const std::string blob = listing.substr(12, 40);
    if (!by_blob.contains(blob))
      by_blob[blob] = result_of(rules, git(directory, {"cat-file", "blob", blob}), list);
    const Result& result = by_blob[blob];
    INFO(commit << " " << result.verdict << " " << result.gencodes);
    CHECK(result.verdict != "unchanged");
    if (result.verdict == "patched") {
      const bool served = result.gencodes.find("Error") == std::string::npos;
      const bool told = result.gencodes.find("and later serve it") != std::string::npos;
      CHECK((served || told));
      CHECK((!served || result.gencodes.find("sm_120") != std::string::npos));
    } else {
      CHECK(result.verdict.size() > std::string("refused: ").size());
    }
    table += fmt::format("| {} | {} | {} | {} | {} | {} |\n", commit,
                         line.substr(line.find(' ') + 1), result.shape, result.verdict,
                         result.rules, replaced(result.gencodes, "|", "/"));
  }
  return table;
}

}  // namespace

TEST_CASE("every setup.py of upstream's history is patched or refused with a reason",
          "[.upstream]") {
  const char* directory = std::getenv("SAGEBUILD_UPSTREAM_GIT");
  REQUIRE(directory != nullptr);
  const std::string main_table =
      table_of(directory, "setup.py", shipped_rules("sageattention"), kList);
  const std::string fp4_table = table_of(directory, "sageattention3_blackwell/setup.py",
                                         shipped_rules("sageattention3"), kBlackwell);
  if (const char* file = std::getenv("SAGEBUILD_UPSTREAM_TABLE")) {
    write_file(file, "# setup.py\n\n" + main_table + "\n# sageattention3_blackwell/setup.py\n\n" +
                         fp4_table);
  }
}

}  // namespace sagebuild
