#include "sagebuild/nvcc/dryrun.hpp"

#include <algorithm>
#include <filesystem>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Printed by the real nvcc of that version (tests/nvcc/data/make.sh).
std::string golden(const std::string& name) { return read_file(test_data() / (name + ".txt")); }

const std::vector<std::string> kToolkits = {"12.4", "13.0", "13.5"};

TEST_CASE("a dry run of every toolkit becomes the same graph") {
  for (const auto& toolkit : kToolkits) {
    CAPTURE(toolkit);
    const auto [run, reason, programs] = parse_dryrun(golden(toolkit + "-two"));
    REQUIRE(reason == "");
    REQUIRE(run->passes.size() == 2);
    CHECK(run->passes[0].arch == "compute_89");
    CHECK(run->passes[0].ptx == "k.compute_89.ptx");
    REQUIRE(run->passes[1].real.size() == 1);
    CHECK(run->passes[1].real[0].arch == "sm_90");
    CHECK(run->passes[1].real[0].cubin == "k.compute_90.sm_90.cubin");
    CHECK(option_value(run->passes[1].preprocess, "-o") == "k.compute_90.cpp1.ii");
    CHECK(option_value(run->host_preprocess, "-o") == "k.cpp4.ii");
    CHECK(option_value(run->fatbinary, "--embedded-fatbin") == "k.fatbin.c");
    CHECK(option_value(run->host_compile, "-o") == "k.o");
    CHECK(run->path.find("/opt/cuda/bin") != std::string::npos);
    CHECK(run->passes[0].cicc.front().ends_with("cicc"));
    CHECK(run->passes[0].cicc.front().find('$') == std::string::npos);
  }
}

TEST_CASE("two real architectures of one virtual one share its cicc run") {
  for (const auto& toolkit : kToolkits) {
    const auto [run, reason, programs] = parse_dryrun(golden(toolkit + "-shared"));
    REQUIRE(reason == "");
    REQUIRE(run->passes.size() == 1);
    CHECK(run->passes[0].real.size() == 2);
  }
}

TEST_CASE("PTX alone is checked by ptxas where nvcc does so") {
  for (const auto& toolkit : kToolkits) {
    CAPTURE(toolkit);
    const auto [run, reason, programs] = parse_dryrun(golden(toolkit + "-ptx_only"));
    REQUIRE(reason == "");
    REQUIRE(run->passes.size() == 1);
    for (const auto& real : run->passes[0].real) CHECK(real.cubin == "");
  }
}

TEST_CASE("what is not understood is a reason, never a guess") {
  for (const auto& toolkit : kToolkits) {
    CHECK(parse_dryrun(golden(toolkit + "-threads")).reason != "");
    CHECK(parse_dryrun(golden(toolkit + "-rdc")).reason.find("relocatable") != std::string::npos);
  }
  const std::string text = golden("13.0-two");
  CHECK(parse_dryrun(text + "#$ nvlink -arch=sm_89 k.o\n").reason.find("nvlink") !=
        std::string::npos);
  CHECK(parse_dryrun(text + "#$ cudafe++ \"k.cpp4.ii\" \n").reason.find("more than once") !=
        std::string::npos);
  CHECK(parse_dryrun(replaced(text, "\"k.cu\"", "\"$HOME/k.cu\"")).reason.find("'$'") !=
        std::string::npos);
  CHECK(parse_dryrun(replaced(text, "\"k.cu\"", "\"it's.cu\"")).reason.find("quote") !=
        std::string::npos);
  CHECK(parse_dryrun("").reason != "");
}

TEST_CASE(
    "of a dry run that is not understood every program is named, found on nvcc's PATH or as it "
    "stands") {
  const TempDir folder("sagebuild-test");
  write_file(folder.path() / "tileir", "#!/bin/sh\n");
  fs::permissions(folder.path() / "tileir", fs::perms::owner_all);
  const std::string text = replaced(golden("13.0-two"), "/opt/cuda/bin", folder.path().string());
  CHECK(parse_dryrun(text).programs.empty());
  const auto has = [&](const std::string& line, const fs::path& program) {
    return std::ranges::count(parse_dryrun(text + line).programs, program) == 1;
  };
  CHECK(has("#$ tileir -arch=sm_89 k.o\n#$ tileir again\n", folder.path() / "tileir"));
  CHECK(has("#$ nowhere-to-be-found k.o\n", "nowhere-to-be-found"));
  CHECK(has("#$ \"/opt/x/tile\" k.o\n", "/opt/x/tile"));
}

TEST_CASE("losing any one command makes the graph incomplete") {
  const std::string text = golden("13.0-two");
  std::size_t commands = 0;
  for (const auto line : lines_of(text)) {
    if (line.find(" -o ") == std::string_view::npos &&
        line.find("cudafe++") == std::string_view::npos &&
        line.find("fatbinary ") == std::string_view::npos)
      continue;
    ++commands;
    CAPTURE(line);
    CHECK(parse_dryrun(replaced(text, line, "")).reason != "");
  }
  CHECK(commands == 10);
}

TEST_CASE("messages of nvcc are kept to be passed on") {
  const auto [run, reason, programs] =
      parse_dryrun("nvcc warning : Support for X will go\n" + golden("13.0-two"));
  REQUIRE(reason == "");
  CHECK(run->messages == Words{"nvcc warning : Support for X will go"});
}

TEST_CASE("a command's own files are renamed, whole names only") {
  const Words argv = {"cicc", "--stub=k.c", "k.c.txt", "k.c", "xk.c"};
  CHECK(renamed(argv, {{"k.c", "n.c"}}) == Words{"cicc", "--stub=n.c", "k.c.txt", "n.c", "xk.c"});
}

}  // namespace
}  // namespace sagebuild
