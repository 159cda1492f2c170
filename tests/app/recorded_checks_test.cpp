#include "sagebuild/app/recorded_checks.hpp"

#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"
#include "support/recording_reporter.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

RecordedBuild cpu_build(std::vector<std::string> variables = {}) {
  RecordedBuild build;
  RecordedModule module;
  module.name = "demo._C";
  module.sources.emplace_back().source = "op.cpp";
  build.modules.push_back(std::move(module));
  build.variables = std::move(variables);
  return build;
}

}  // namespace

TEST_CASE(
    "a package without device code is refused, with the switches that its setup.py looks at") {
  const TempDir tree;
  write_file(
      tree.path() / "setup.py",
      "if os.getenv('FORCE_CUDA', 'NO') == 'TRUE' or \"WITH_CUDA\" in os.environ:\n"
      "    home = os.environ[\"CUDA_HOME\"]\nname = 'OTHER'\nif os.environ.get('GIVEN'): pass\n");
  const auto checked = [&](const Environment& passed, bool allow_cpu) {
    require_device_code(cpu_build({"BUILD_TARGET", "PATH", "MAX_JOBS"}), tree.path(), passed,
                        allow_cpu);
  };
  CHECK_THROWS_MATCHES(checked({{"GIVEN", "1"}}, false), Error,
                       says("line 1 of setup.py: if os.getenv('FORCE_CUDA'")
                           .hints("looks at BUILD_TARGET, FORCE_CUDA, WITH_CUDA: try "
                                  "--env FORCE_CUDA=TRUE; --allow-cpu"));
  CHECK_THROWS_MATCHES(checked({{"FORCE_CUDA", "1"}}, false), Error,
                       says("no module").hints("try --env FORCE_CUDA=TRUE"));
  checked({}, true);
  write_file(tree.path() / "setup.py", "if os.getenv('FORCE_CUDA', '0') == other:\n");
  CHECK_THROWS_MATCHES(checked({}, false), Error, says("no module").hints("--env FORCE_CUDA=1;"));
  RecordedBuild with_code = cpu_build();
  with_code.modules.front().sources.front().language = Language::cuda;
  require_device_code(with_code, tree.path(), {}, false);
}

TEST_CASE("a setup.py that names its architectures by a variable of its own is told of it") {
  const TempDir tree;
  write_file(tree.path() / "setup.py",
             "import os\nfor x in os.getenv(\"DEMO_CUDA_ARCH_LIST\").split(): pass\n"
             "if os.getenv(\"TORCH_CUDA_ARCH_LIST\") or os.getenv(\"FORCE_CUDA\"): pass\n");
  const ArchList archs = parse_arch_list("8.9 12.0+PTX");
  CHECK(hint_of_own_arch_list(tree.path(), {}, archs) ==
        "setup.py looks at DEMO_CUDA_ARCH_LIST: try --env DEMO_CUDA_ARCH_LIST=\"8.9 12.0+PTX\", "
        "separated as its text wants it");
  CHECK(hint_of_own_arch_list(tree.path(), {{"DEMO_CUDA_ARCH_LIST", "8.9"}}, archs).empty());
}

TEST_CASE("a version from git is told of where git cannot know it") {
  const TempDir tree;
  Checkout checkout{.root = tree.path(), .commit = std::string(40, 'a')};
  const auto warnings = [&](const std::string& wheel) {
    RecordingReporter report;
    RecordedBuild build = cpu_build();
    build.wheel = fs::path("dist") / wheel;
    warn_of_version(build, checkout, tree.path(), report);
    return report.warnings.size();
  };
  const std::string good = "demo-0.1.dev1+gaaaaaaa-cp311-cp311-linux_x86_64.whl";
  const std::string none = "demo-0.0.0-cp311-cp311-linux_x86_64.whl";
  CHECK(warnings(none) == 0);
  write_file(tree.path() / "pyproject.toml", "[tool.setuptools_scm]\n");
  CHECK(warnings(none) == 1);
  CHECK(warnings(good) == 0);
  write_file(tree.path() / ".git/packed-refs", "");
  write_file(tree.path() / ".git/shallow", checkout.commit);
  CHECK(warnings(good) == 1);
  write_file(tree.path() / ".git/packed-refs", checkout.commit + " refs/tags/v1\n");
  CHECK(warnings(good) == 0);
}

}  // namespace sagebuild
