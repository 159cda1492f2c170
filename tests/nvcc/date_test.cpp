// A source that asks for the date: every build, in every mode, gives the same bytes, and none gives
// an old answer.
#include "sagebuild/nvcc/compile.hpp"
#include "support/catch.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFirst = 1'000'000'000;   // Sun Sep  9 01:46:40 2001
constexpr std::int64_t kSecond = 1'234'567'890;  // Fri Feb 13 23:31:30 2009

// The macros stand in a header of the project's, so that not the source alone may be looked at.
struct DatedWorld : NvccWorld {
  explicit DatedWorld(std::shared_ptr<MemoryCache> shared = std::make_shared<MemoryCache>())
      : NvccWorld(std::move(shared)) {
    put(tree() / "date.h", "#define NOW __DATE__ \" \" __TIME__ \"|\" __TIMESTAMP__\n");
    const std::string text = "#include \"date.h\"\nconst char* built() { return NOW; }\n";
    put(tree() / "a.cpp", text);
    put(tree() / "a.cu",
        text +
            "__device__ const char text[] = NOW;\n__global__ void k(char* p) { *p = text[*p]; }\n"
            "void f(char* p) { k<<<1, 1>>>(p); }\n");
    fs::last_write_time(tree() / "a.cu",
                        fs::file_time_type::clock::now() - std::chrono::hours(24 * 400));
  }

  StepRunner compile_at(std::int64_t date, const std::string& name) {
    auto all = settings();
    all->date = date;
    StepRunner runner(*cache);
    runner.run(compile_step(source(name), "mini._ops", all));
    return runner;
  }
};

void expect_dates(const std::string& name, const Words& flags) {
  DatedWorld world;
  world.flags = flags;
  const auto has = [&](std::string_view text) {
    return world.object(name).find(text) != std::string::npos;
  };
  world.compile_at(kFirst, name);
  CHECK(has("Sep  9 2001 01:46:40|Sun Sep  9 01:46:40 2001"));
  CHECK(RecordingReporter::any_has(world.reporter.details, "warning") == false);
  const std::string first = world.object(name);
  CHECK(world.compile_at(kFirst, name).runs.front().hit);

  INFO("another date is another compile: the answer of the first would be wrong");
  CHECK_FALSE(world.compile_at(kSecond, name).runs.front().hit);
  CHECK(has("Feb 13 2009 23:31:30|Fri Feb 13 23:31:30 2009"));

  INFO("elsewhere, with files of another age: the same bytes");
  DatedWorld elsewhere;
  elsewhere.flags = flags;
  fs::last_write_time(elsewhere.tree() / name,
                      fs::file_time_type::clock::now() - std::chrono::hours(24 * 99));
  elsewhere.compile_at(kFirst, name);
  if (std::ranges::count(flags, "-rdc=true") == 0) CHECK(elsewhere.object(name) == first);
}

TEST_CASE("__DATE__, __TIME__ and __TIMESTAMP__ are the build's own date") {
  NEEDS_NVCC();
  SECTION("in a source that is taken apart") { expect_dates("a.cu", {"-O1"}); }
  SECTION("in one that plain nvcc compiles") { expect_dates("a.cu", {"-O1", "-rdc=true"}); }
  SECTION("in a .cpp") { expect_dates("a.cpp", {"-O1"}); }
}

TEST_CASE("device code that holds the date is made again when the date is another") {
  NEEDS_NVCC();
  DatedWorld world;
  world.compile_at(kFirst, "a.cu");
  const auto runs = world.compile_at(kSecond, "a.cu");
  CHECK(runs.count("cicc") == 1);
  CHECK(runs.count("ptxas") == 1);
  CHECK(runs.count("host compile") == 1);
}

}  // namespace
}  // namespace sagebuild
