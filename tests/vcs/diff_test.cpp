#include "sagebuild/vcs/diff.hpp"

#include <random>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

void must_run(std::vector<std::string> argv, const std::filesystem::path& cwd,
              const std::string& input) {
  Command command;
  command.argv = std::move(argv);
  command.cwd = cwd;
  command.input = input;
  const ProcessResult result = run(command);
  INFO(result.output << result.diagnostics << input);
  REQUIRE(result.ok());
}

// `patch -p1` and `git apply` turn one into the other, `patch -R` turns it back.
void check_round_trip(const std::string& before, const std::string& after) {
  const std::string diff = unified_diff("d/a.py", before, after);
  INFO(diff);
  const TempDir dir("diff-test");
  const auto file = dir.path() / "d/a.py";
  make_folders(file.parent_path());
  write_file(file, before);
  must_run({"patch", "-p1", "--binary", "--fuzz=0"}, dir.path(), diff);
  CHECK(read_file(file) == after);
  must_run({"patch", "-p1", "--binary", "--fuzz=0", "-R"}, dir.path(), diff);
  CHECK(read_file(file) == before);
  must_run({"git", "apply", "--whitespace=nowarn", "-"}, dir.path(), diff);
  CHECK(read_file(file) == after);
}

}  // namespace

TEST_CASE("equal texts have no diff, and a hunk has three lines of context") {
  CHECK(unified_diff("a", "x\n", "x\n").empty());
  CHECK(unified_diff("setup.py", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
        "--- a/setup.py\n+++ b/setup.py\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("patch and git apply take a diff, and patch -R undoes it") {
  check_round_trip("a\nb\nc\n", "a\nB\nc\n");
  check_round_trip("a\nb", "a\nb\n");
  check_round_trip("a\nb\n", "a\nb\nc");
  check_round_trip("a\r\nb\r\nc\r\n", "a\r\nx\r\nb\r\nc\r\n");
  check_round_trip("only\n", "first\nonly\n");
  const std::string zero("\0a\n", 3);  // no sign of a binary
  check_round_trip(zero + "b\n", zero + "c\n");
}

TEST_CASE("a file is named as it is") {
  const std::string head = "--- a/d/\"\xc3\xbc\".py\n+++ b/d/\"\xc3\xbc\".py\n@@ -1 +1 @@\n";
  CHECK(unified_diff("d/\"\xc3\xbc\".py", "x\n", "y\n") == head + "-x\n+y\n");
}

TEST_CASE("random edits make the round trip") {
  std::mt19937 random(20260117);
  const auto pick = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> lines;
    for (std::size_t count = pick(40) + 1; count > 0; --count)
      lines.push_back(std::string(1, static_cast<char>('a' + pick(4))));
    std::vector<std::string> changed = lines;
    for (std::size_t edits = pick(8) + 1; edits > 0 && !changed.empty(); --edits) {
      const auto place = changed.begin() + static_cast<std::ptrdiff_t>(pick(changed.size()));
      if (pick(2) == 0)
        changed.erase(place);
      else
        changed.insert(place, "new" + std::to_string(pick(3)));
    }
    const std::string before = join(lines, "\n") + (pick(2) == 0 ? "\n" : "");
    const std::string after = join(changed, "\n") + (pick(2) == 0 ? "\n" : "");
    if (before != after && !before.empty() && !after.empty()) check_round_trip(before, after);
  }
}

TEST_CASE("a text with very many changes still has a diff") {
  std::string before;
  std::string after;
  for (int line = 0; line < 6000; ++line) {
    before += "old " + std::to_string(line) + "\n";
    after += "new " + std::to_string(line) + "\nsame\n";
  }
  check_round_trip(before, after);
}

}  // namespace sagebuild
