#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "patch/python_text.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/patch/patch.hpp"
#include "sagebuild/recipe/recipe.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const std::string kHead = "name = 'x'\ndetect = ['x']\n";

// A recipe of these rules and nothing else.
RuleSet rules_of(const std::string& text) {
  const TempDir dir("patch-test");
  write_file(dir.path() / "x.toml", kHead + text);
  return load_rules(load_recipe(dir.path() / "x.toml"));
}

std::string rule_text(const std::string& keys) {
  return "[[rule]]\nid = 'r'\nwhy = 'sage#1'\n" + keys;
}

PatchOutcome applied(const std::string& keys, std::string_view text) {
  return patch_text(rules_of(rule_text(keys)), "setup.py", text);
}

// What stands in the first block of that language.
std::string block_of(std::string_view document, std::string_view language) {
  const std::string fence = fmt::format("```{}\n", language);
  const auto begin = document.find(fence) + fence.size();
  return std::string(document.substr(begin, document.find("\n```", begin) + 1 - begin));
}

}  // namespace

TEST_CASE("the example of docs/recipes.md is a recipe, and its rules work") {
  const std::filesystem::path source = std::getenv("SAGEBUILD_TEST_SOURCE");
  const TempDir dir("patch-test");
  write_file(dir.path() / "x.toml", block_of(read_file(source / "docs" / "recipes.md"), "toml"));
  const Recipe recipe = load_recipe(dir.path() / "x.toml");
  CHECK(recipe.modules.size() == 2);
  const PatchOutcome outcome =
      patch_text(load_rules(recipe), "setup.py",
                 "FLAGS = [\n    \"--threads=4\",\n]\nfor arch in archs:\n    pass\n"
                 "CUDAExtension(\"fastnorm._norm_sm90\")\n");
  CHECK(outcome.failures.empty());
  CHECK(outcome.after.starts_with("FLAGS = [\n]\nMODULE_ARCHS = {\n    # wgmma exists"));
  CHECK(outcome.after.ends_with("\nCUDAExtension(\"fastnorm._norm_sm90\")\n"));
}

TEST_CASE("blocks end by indentation, calls by their bracket, whatever strings and comments hold") {
  const std::string text =
      "if a:\n    b('#)', \"\"\"\nx\n\"\"\")  # (\n\n    # about c\n    c = [1,\n2]\n# about d\nd "
      "= f(')', {')': "
      "(1)})\n";
  const PythonText python(text);
  CHECK(python.block_at(0).end == text.find("# about d"));
  const std::size_t call = text.find("f(')'");
  const auto range = python.call_at(call, call + 2);
  REQUIRE(range);
  CHECK(text.substr(range->begin, range->end - range->begin) == "f(')', {')': (1)})");
  CHECK_FALSE(python.is_code(text.find("x\n\"")));
  CHECK_FALSE(PythonText("f((1)").call_at(0, 2));
}

TEST_CASE("a rule changes what it matches, once, and is already done the second time") {
  const std::string keys = "pattern = 'a = 1'\nreplace = 'a = 2'\ndone = 'a = 2'\n";
  const PatchOutcome first = applied(keys, "a = 1\nb = 'a = 1'  # a = 1\n");
  CHECK(first.failures.empty());
  CHECK(first.after == "a = 2\nb = 'a = 1'  # a = 1\n");  // strings and comments are prose
  REQUIRE(first.rules.size() == 1);
  CHECK(first.rules[0].count == 1);
  const PatchOutcome second = applied(keys, first.after);
  CHECK(second.failures.empty());
  CHECK_FALSE(second.changed());
  CHECK(second.rules.at(0).already_done);
}

TEST_CASE(
    "a rule that does not match as often as it says stops everything, with the nearest place") {
  const std::string two =
      rule_text("pattern = 'alpha = (\\d)'\nreplace = 'alpha = 9'\ndone = 'alpha = 9'\n") +
      "[[rule]]\nid = 's'\nwhy = 'sage#2'\npattern = 'beta = 1'\nreplace = 'beta = 2'\ndone = "
      "'beta = 2'\n"
      "count = '2+'\n";
  const PatchOutcome outcome =
      patch_text(rules_of(two), "setup.py", "x\nalpha = ready\nbeta = 1\n");
  CHECK_FALSE(outcome.changed());
  REQUIRE(outcome.failures.size() == 2);
  CHECK(outcome.failures[0] ==
        "rule 'r' expects 1 match and found 0 in 'setup.py'; nearest is line 2: alpha = ready (why "
        "the rule: sage#1)");
  CHECK(outcome.failures[1].find("rule 's' expects at least 2 matches and found 1") == 0);
  CHECK_THROWS_MATCHES(require_patched({outcome}), Error,
                       says("cannot patch 'setup.py'").hints("nothing was written"));

  const PatchOutcome often =
      applied("pattern = 'a = 1'\nreplace = 'a = 2'\ndone = 'a = 2'\n", "a = 1\n\na = 1\n");
  REQUIRE(often.failures.size() == 1);
  CHECK(often.failures[0].find("found 2 in 'setup.py'; it matches on lines 1, 3") !=
        std::string::npos);
}

TEST_CASE("a half-done file is refused, not finished") {
  const std::string keys =
      "pattern = 'old\\(\\)'\nreplace = 'new()'\ncount = '2'\ndone = 'new\\('\ngone = ['old\\(']\n";
  CHECK(applied(keys, "old()\nold()\n").after == "new()\nnew()\n");
  const PatchOutcome half = applied(keys, "new()\nold()\n");
  REQUIRE(half.failures.size() == 1);
  CHECK(half.failures[0].find("leaves 'old\\(' behind") != std::string::npos);
  CHECK(half.failures[0].find("line 2 of the result: old()") != std::string::npos);
}

TEST_CASE("a recipe that would change its own result is found at once") {
  const PatchOutcome outcome = applied("pattern = 'a'\nreplace = 'aa'\ncount = '0+'\n", "a\n");
  CHECK_FALSE(outcome.changed());
  REQUIRE_FALSE(outcome.failures.empty());
  CHECK(outcome.failures[0].find("again when applied twice") != std::string::npos);
}

TEST_CASE("line ends, byte-order mark, tabs and a missing last newline stay") {
  const std::string keys =
      "pattern = '^([ \\t]*)a = 1'\nreplace = \"\"\"\n\\\\1a = 2\nif a:\n    b = 3\"\"\"\ndone = "
      "'a = 2'\n";
  CHECK(applied(keys, "\xEF\xBB\xBFx\r\n\tq\r\n\ta = 1\r\ny").after ==
        "\xEF\xBB\xBFx\r\n\tq\r\n\ta = 2\r\n\tif a:\r\n\t\tb = 3\r\ny");
  CHECK(applied(keys, "a = 1").after == "a = 2\nif a:\n    b = 3");
  // Mixed line ends: only what is put in follows the majority.
  CHECK(applied(keys, "x\r\ny\na = 1\nz\n").after == "x\r\ny\na = 2\nif a:\n    b = 3\nz\n");
}

TEST_CASE("what is not UTF-8 is refused with its offset") {
  const std::string keys = "pattern = 'a'\nreplace = 'b'\ndone = 'b'\n";
  const auto offset_text = [&](std::string_view text) {
    return applied(keys, text).failures.at(0);
  };
  CHECK(offset_text("a\n\xFF") == "'setup.py' is not UTF-8: byte 0xff at offset 2");
  CHECK(offset_text("ab\xC3") == "'setup.py' is not UTF-8: byte 0xc3 at offset 2");
  CHECK(offset_text("\xED\xA0\x80") == "'setup.py' is not UTF-8: byte 0xed at offset 0");
  CHECK(applied(keys, "a = '\xC3\xA9\xF0\x9F\x98\x80'\n").failures.empty());
}

TEST_CASE("a file that declares another coding is patched and stays in it, byte for byte") {
  const std::string keys = "pattern = 'a = 1'\nreplace = 'b = \"x\"'\ndone = 'b = '\n";
  for (const char* coding : {"latin-1", "ISO_8859-15", "cp1252", "koi8-r"}) {
    const std::string before =
        fmt::format("#!/bin/python\n# -*- coding: {} -*-\n# caf\xE9 \xFF\x80\na = 1\n", coding);
    const PatchOutcome outcome = applied(keys, before);
    INFO(coding << " " << join(outcome.failures, "; "));
    CHECK(outcome.failures.empty());
    CHECK(outcome.before == before);
    CHECK(outcome.after == replaced(before, "a = 1", "b = \"x\""));
    CHECK(applied(keys, outcome.after).after == outcome.after);
  }
  const auto failure = [&](const std::string& text, const std::string& more_keys) {
    const PatchOutcome outcome = applied(more_keys, text);
    CHECK_FALSE(outcome.changed());
    return outcome.failures.at(0);
  };
  // A "\\" may be the second byte of a character there, so strings would end in the wrong place.
  CHECK(failure("# coding=shift_jis\na = 1\n", keys).find("the coding 'shift-jis'") !=
        std::string::npos);
  CHECK(failure("# coding: cp864\na = 1\n", keys).find("the coding 'cp864'") != std::string::npos);
  CHECK(failure("# coding: latin-1\na = 1 # \xE9\n",
                "pattern = 'a = 1'\nreplace = 'b = \"\xC3\xA9\"'\ndone = 'b = '\n")
            .find("more than ASCII") != std::string::npos);
  // Not where Python looks for it, or a declaration of UTF-8: as if there were none.
  for (const char* first : {"a = 1\n# coding: latin-1", "#\n#\n# coding: latin-1",
                            "# coding: UTF_8", "x = 'coding: latin-1'"})
    CHECK(failure(fmt::format("{}\n# \xE9\na = 1\n", first), keys).find("is not UTF-8") !=
          std::string::npos);
}

TEST_CASE("shapes decide which rules are for a file, and may refuse it") {
  const std::string text =
      "[[shape]]\nname = 'old'\nwhen = ['old']\nrefuse = 'is too old'\n[[shape]]\nname = "
      "'new'\nwhen = ['new']\n" +
      rule_text("shapes = ['new']\npattern = 'a'\nreplace = 'b'\ndone = 'b'\n");
  const RuleSet rules = rules_of(text);
  CHECK(patch_text(rules, "setup.py", "# old\n").failures ==
        std::vector<std::string>{"'setup.py' is too old"});
  CHECK(patch_text(rules, "setup.py", "# new\na\n").after == "# new\nb\n");
  CHECK(patch_text(rules, "setup.py", "a\n").failures.at(0) ==
        "'setup.py' has no shape that recipe 'x' knows: old; new");
}

TEST_CASE("what is wrong in the rules is named with its line") {
  const auto broken = [](const std::string& keys) { return rules_of(rule_text(keys)); };
  const std::string good = "pattern = '(a)'\nreplace = '\\1'\ndone = 'b'\n";
  CHECK_NOTHROW(broken(good));
  CHECK_THROWS_MATCHES(broken("pattern = '('\nreplace = ''\ndone = 'b'\n"), Error,
                       says("x.toml:3: 'pattern' is not a valid"));
  CHECK_THROWS_MATCHES(broken("pattern = 'a'\nreplace = '\\2'\ndone = 'b'\n"), Error,
                       says("has 0 captures"));
  CHECK_THROWS_MATCHES(broken("pattern = 'a'\nreplace = '{{nothing}}'\ndone = 'b'\n"), Error,
                       says("{{nothing}}"));
  CHECK_THROWS_MATCHES(broken("pattern = 'a'\nreplace = ''\n"), Error, says("'done' is missing"));
  CHECK_THROWS_MATCHES(broken(good + "scope = 'page'\n"), Error,
                       says("one of: file, line, block, call"));
  CHECK_THROWS_MATCHES(broken(good + "scope = 'call'\n"), Error, says("'start' belongs to"));
  CHECK_THROWS_MATCHES(broken(good + "count = 'many'\n"), Error, says("'count' is like"));
  CHECK_THROWS_MATCHES(broken(good + "shapes = ['q']\n"), Error, says("unknown shape 'q'"));
  CHECK_THROWS_MATCHES(broken(good + "file = '../x'\n"), Error, says("inside the tree"));
  CHECK_THROWS_MATCHES(broken(good + "cuont = '1'\n"), Error,
                       says("unknown key 'cuont'").hints("count"));
  CHECK_THROWS_MATCHES(rules_of(rule_text(good) + rule_text(good)), Error,
                       says("rule 'r' occurs twice"));
  CHECK_THROWS_MATCHES(rules_of("[insert]\na = '{{b}}'\nb = '{{a}}'\n" +
                                rule_text("pattern = 'a'\nreplace = '{{a}}'\ndone = 'b'\n")),
                       Error, says("in a circle"));
}

TEST_CASE("time grows with the size of the file, not with its square") {
  const std::string keys =
      "scope = 'call'\nstart = 'F\\('\npattern = 'zz'\nreplace = 'y'\ncount = '0+'\n";
  const RuleSet rules = rules_of(rule_text(keys) +
                                 "[[rule]]\nid = 'b'\nwhy = 'w'\nscope = 'block'\nstart = '^if a'\n"
                                 "pattern = 'never'\nreplace = ''\ncount = '0+'\n");
  const auto seconds_for = [&](std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += "F(F(a, '(' # )\nif a:\n    F(\n";
    const auto start = std::chrono::steady_clock::now();
    CHECK(patch_text(rules, "setup.py", text).failures.empty());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double small = seconds_for(1 << 18);
  // Eight times as much; a square would take 64 times as long
  const double large = seconds_for(1 << 21);
  INFO(small << " s and " << large << " s");
  CHECK(large < small * 24 + 0.2);
}

}  // namespace sagebuild
