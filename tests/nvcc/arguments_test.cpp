#include "sagebuild/nvcc/arguments.hpp"

#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

Words kept(Words argv) {
  argv.insert(argv.begin(), "nvcc");
  auto result = normalise_nvcc(argv);
  REQUIRE(result.opaque == "");
  result.argv.erase(result.argv.begin());
  return result.argv;
}

std::string reason(Words argv) {
  argv.insert(argv.begin(), "nvcc");
  return normalise_nvcc(argv).opaque;
}

TEST_CASE("what steers one nvcc run is taken out, in every spelling") {
  const std::vector<Words> stripped = {
      {"-t", "8"},
      {"-t8"},
      {"--threads=8"},
      {"--threads", "8"},
      {"-MD"},
      {"-MF", "x.d"},
      {"--keep"},
      {"--generate-dependencies-with-compile"},
      {"-v"},
      {"--jobserver"},
      {"-arch=sm_90"},
      {"-gencode", "arch=compute_90,code=sm_90"},
      {"-code", "sm_90"},
      {"-std=c++17"},
      {"--std", "c++17"},
      {"--split-compile=0"},
      {"-g"},
      {"-rdc=false"},
      {"-gencode=arch=compute_90,code=[sm_90,compute_90]"},
      {"--gpu-architecture=sm_90"},
  };
  for (Words words : stripped) {
    CAPTURE(words);
    words.push_back("-O3");
    CHECK(kept(words) == Words{"-O3"});
  }
}

TEST_CASE("all else stays, in its order") {
  const Words words = {"-DA=1",
                       "-D",
                       "B",
                       "-Iinclude dir",
                       "--use_fast_math",
                       "-Xcompiler",
                       "-fPIC,-O2",
                       "-ccbin",
                       "g++-12",
                       "--expt-relaxed-constexpr",
                       "-diag-suppress=174",
                       "-lineinfo",
                       "-Xfatbin",
                       "-compress-all",
                       "--fatbin-options=--compress-all",
                       "-maxrregcount=64",
                       "-m64"};
  CHECK(kept(words) == words);
}

TEST_CASE("register reports are taken out of ptxas' options and remembered") {
  const auto result = normalise_nvcc({"nvcc", "-Xptxas=-v,-O2", "--ptxas-options", "-v"});
  CHECK(result.argv == Words{"nvcc", "-Xptxas", "-O2"});
  CHECK(result.report_registers);
}

TEST_CASE("options that change the shape, or that nobody knows, go to plain nvcc by name") {
  for (const Words& words : std::vector<Words>{{"-rdc=true"},
                                               {"-dc"},
                                               {"-dlto"},
                                               {"-ptx"},
                                               {"-cubin"},
                                               {"-G"},
                                               {"-E"},
                                               {"--brand-new-option"},
                                               {"-Xfatbin", "--image=file=a.cubin"},
                                               {"-Xfatbin=-compress-all,-g"},
                                               {"second.cu"}}) {
    CAPTURE(words);
    CHECK(reason(words) != "");
  }
  CHECK(reason({"--brand-new-option"}).find("--brand-new-option") != std::string::npos);
}

TEST_CASE("--time is lost when taken apart, so the user is told") {
  CHECK(normalise_nvcc({"nvcc", "--time", "x.csv"}).dropped == Words{"--time x.csv"});
}

TEST_CASE("NVCC_*_FLAGS are folded in once") {
  CHECK(normalise_nvcc({"nvcc", "-O3"}, "-DP '-DQ=a b'", "-DA").argv ==
        Words{"nvcc", "-DP", "-DQ=a b", "-O3", "-DA"});
  // setup.py has appended them already
  CHECK(normalise_nvcc({"nvcc", "-O3", "-DA", "-DB"}, "", "-DA -DB").argv ==
        Words{"nvcc", "-O3", "-DA", "-DB"});
}

TEST_CASE("architectures are one option per virtual one, sorted, whatever the order of targets") {
  const Arch a89{8, 9}, a90{9, 0}, a120{12, 0};
  const std::vector<Target> targets = {
      {a120, a120, true, true, ""}, {a89, a90, true, false, ""}, {a89, a89, true, false, ""}};
  CHECK(gencode_options(targets) == Words{"-gencode=arch=compute_89,code=[sm_89,sm_90]",
                                          "-gencode=arch=compute_120,code=[sm_120,compute_120]"});
  CHECK(gencode_options({{a89, a89, false, true, ""}}) ==
        Words{"-gencode=arch=compute_89,code=compute_89"});
}

TEST_CASE("an option that is handed on is seen in every spelling") {
  for (const std::string option : {"-specs=FILE", "-fplugin=FILE", "-fprofile-use=FILE", "-BFILE",
                                   "--sysroot=FILE", "-fplugin=A=B"}) {
    CAPTURE(option);
    CHECK(reads_unnamed_files({"nvcc", option}) != "");
    CHECK(reads_unnamed_files({"nvcc", "-Xcompiler", option}) != "");
    CHECK(reads_unnamed_files({"nvcc", "-Xcompiler", "-fPIC," + option}) != "");
    CHECK(reads_unnamed_files({"nvcc", "-Xcompiler=" + option}) != "");
    CHECK(reads_unnamed_files({"nvcc", "--compiler-options=-fPIC," + option}) != "");
    CHECK(reads_unnamed_files({"nvcc", "-Xcompiler=\"" + option + "\""}) != "");
  }
  CHECK(reads_unnamed_files({"nvcc", "-DB=1", "-O3", "-Xcompiler=-fPIC", "-Iinclude"}) == "");
  for (const Words& words :
       {Words{"-optf", "x"}, Words{"--options-file=x"}, Words{"-Xfatbin=--options-file=x"},
        Words{"-Xptxas", "-v,--options-file=x"}, Words{"-Xfatbin=-optf=x"}}) {
    CAPTURE(words);
    CHECK(has_options_file(words));
  }
  CHECK_FALSE(has_options_file({"-O3", "-Xptxas=-v"}));
}

TEST_CASE("files that words name count, wherever they stand in them") {
  const TempDir folder;
  write_file(folder.path() / "x.specs", "");
  for (const std::string word : {"x.specs", "@x.specs", "-Wa,@x.specs", "-fplugin=x.specs",
                                 "-Xcompiler=-fplugin=x.specs", "-Xcompiler=\"-fplugin=x.specs"}) {
    CAPTURE(word);
    CHECK(named_files({word}, folder.path()) ==
          std::vector<std::filesystem::path>{folder.path() / "x.specs"});
  }
}

TEST_CASE("a host compile loses its debug information and dependency options") {
  CHECK(normalise_host({"g++", "-g", "-O3", "-MMD", "-MF", "x.d", "-fPIC", "-c"}) ==
        Words{"g++", "-O3", "-fPIC"});
}

}  // namespace
}  // namespace sagebuild
