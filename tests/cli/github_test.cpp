#include "sagebuild/cli/github.hpp"

#include <cstdlib>

#include "sagebuild/base/markdown.hpp"
#include "sagebuild/cli/job_summary.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE("an annotation is one line, whatever its texts hold") {
  CHECK(annotation("error", "a:b,c", "100%\nof ::it", {"csrc/a,b.cu", 3}) ==
        "::error title=a%3Ab%2Cc,file=csrc/a%2Cb.cu,line=3::100%25%0Aof ::it\n");
  CHECK(annotation("warning", "", "plain\r") == "::warning::plain?\n");
  CHECK(annotation("error", "", "hf_abcdefghijklmnopqrstuvwx").find("hf_abc") == std::string::npos);
}

TEST_CASE("no line of a text is a command of GitHub's, however a file is called") {
  const std::string text = "  ::set-output name=x::evil.so 1 kB\n\na ::b ##[error]c\n";
  ::setenv("GITHUB_ACTIONS", "true", 1);
  CHECK(without_commands(text) == "  : :set-output name=x::evil.so 1 kB\n\na ::b # #[error]c\n");
  CHECK(without_commands("::stop") == ": :stop");
  CHECK(without_commands("") == "");
  ::unsetenv("GITHUB_ACTIONS");
  CHECK(without_commands(text) == text);
}

TEST_CASE("the place of an error is that of the file in the repository") {
  ::unsetenv("GITHUB_WORKSPACE");
  const TempDir folder;
  make_folders(folder.path() / "csrc");
  write_file(folder.path() / "csrc/kernel.cu", "");
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto placed = [](std::string_view output) {
    const FilePlace place = place_of_error(output);
    return place.file + ":" + std::to_string(place.line);
  };
  CHECK(placed("x\n/tmp/sagebuild.a/tree/csrc/kernel.cu(31): error: no\n") == "csrc/kernel.cu:31");
  CHECK(placed("csrc/kernel.cu:7:12: error: no") == "csrc/kernel.cu:7");
  CHECK(placed("csrc/kernel.cu(3): warning: no") == ":0");
  CHECK(placed("csrc/other.cu(3): error: no\ncsrc/kernel.cu(9): error: no") == "csrc/kernel.cu:9");
  for (const char* none : {"", ": error", "(): error", "/: error", "csrc/(3): error", "a error:"})
    CHECK(placed(none) == ":0");
  ::setenv("GITHUB_WORKSPACE", folder.path().parent_path().c_str(), 1);
  CHECK(placed("csrc/kernel.cu(3): error: no") ==
        (folder.path().filename() / "csrc/kernel.cu").string() + ":3");
  ::unsetenv("GITHUB_WORKSPACE");
  std::filesystem::current_path(before);
}

TEST_CASE("no text ends its cell or its block of Markdown") {
  CHECK(markdown_cell("a|b<c>\n`d`") == "a\\|b\\<c\\> \\`d\\`");
  CHECK(markdown_block("x", "sh") == "```sh\nx\n```\n");
  CHECK(markdown_block("a\n````\nb") == "`````\na\n````\nb\n`````\n");
}

TEST_CASE("the summary of a wheel has modules, findings and how to install it, escaped") {
  Verification verification;
  verification.facts.file = "a|b.whl";
  verification.facts.size = 1'500'000;
  GpuImage image;
  image.kind = ImageKind::sass;
  image.arch = {8, 9};
  image.kernels = 44;
  ModuleFacts module;
  module.path = "p/_fused.so";
  module.gpu.containers = {{"s", 0, false, {image}}};
  ModuleFacts other;
  other.path = "p/_plain.so";
  verification.facts.modules = {module, other};
  verification.findings = {{"SB101", Severity::error, "_fused", "<b>no</b>"}};
  const std::string text = summary_of_wheel(verification, "pip install x");
  INFO(text);
  CHECK(text.find("### a\\|b.whl\n\n1.5 MB") == 0);
  CHECK(text.find("| module | size | sm_89 |\n|---|---:|---:|\n| _fused | 0 B | 44 |\n"
                  "| _plain | 0 B | |\n") != std::string::npos);
  CHECK(text.find("| error SB101 | _fused | \\<b\\>no\\</b\\> |") != std::string::npos);
  CHECK(text.find("```sh\npip install x\n```") != std::string::npos);
}

}  // namespace sagebuild
