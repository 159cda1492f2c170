// Not a test of truth: `test_cache "[speed]"` prints what the cache costs on this machine.

#include <cstdlib>

#include "cache/direct_mode.hpp"
#include "cache/fixture.hpp"
#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

double seconds_of(const std::function<void()>& work) {
  const auto started = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

}  // namespace

TEST_CASE("a thousand results of 100 kB", "[.][speed]") {
  constexpr int kResults = 1000;
  CacheWorld world;
  std::vector<std::string> contents;
  for (int i = 0; i < kResults; ++i)
    contents.push_back(fmt::format("{:06}", i) + std::string(100'000, 'x'));
  fmt::print("store        {:.3f} s\n", seconds_of([&] {
               for (const std::string& content : contents)
                 store_text(*world.cache, world.work, content);
             }));
  world.reopen();
  std::vector<ActionKey> keys;
  for (const std::string& content : contents) keys.push_back(key_of(content));
  std::vector<ActionResult> results;
  fmt::print("lookup       {:.3f} s\n", seconds_of([&] {
               for (const ActionKey& key : keys)
                 results.push_back(world.cache->lookup(key).value());
             }));
  bool all = true;
  fmt::print("materialise  {:.3f} s\n", seconds_of([&] {
               for (int i = 0; i < kResults; ++i)
                 all = world.cache->materialize(results[static_cast<std::size_t>(i)],
                                                {{"out", world.work / std::to_string(i)}}) &&
                       all;
             }));
  fmt::print("flush        {:.3f} s\n", seconds_of([&] { world.cache->flush(); }));
  CHECK(all);
}

TEST_CASE("direct mode with 1,800 headers below /usr/include and twelve folders", "[.][speed]") {
  CacheWorld world;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator("/usr/include")) {
    if (entry.is_regular_file() && files.size() < 1800) files.push_back(entry.path());
  }
  const ActionKey key = ActionKey("preprocess", "a.cu").add("options", "-O3");
  SearchScope scope;
  for (int i = 0; i < 7; ++i) {
    scope.include_folders.push_back(world.work / fmt::format("include-{}", i));
    write_file(scope.include_folders.back() / "own/header.h", "");
  }
  for (const char* folder :
       {"/usr/local/include", "/usr/include/c++/12", "/usr/include/x86_64-linux-gnu/c++/12",
        "/usr/include/x86_64-linux-gnu", "/usr/include"})
    scope.include_folders.emplace_back(folder);
  const auto started = ActionCache::Clock::now() - std::chrono::minutes(1);
  fmt::print("store, {} files   {:.4f} s\n", files.size(),
             seconds_of([&] { world.cache->store_by_files(key, scope, files, started, {}, {}); }));
  world.cache->flush();
  fmt::print("store again         {:.4f} s\n",
             seconds_of([&] { world.cache->store_by_files(key, scope, files, started, {}, {}); }));
  for (const char* state : {"first", "second", "third"}) {
    if (state[0] == 'f') world.reopen();
    fmt::print("lookup, {:<6}     {:.4f} s\n", state,
               seconds_of([&] { CHECK(world.cache->lookup_by_files(key, scope)); }));
  }
}

// SAGEBUILD_TEST_FILES: a file of names, a line each, as of a .d. Prints what they ask for.
TEST_CASE("what the files of a real compile ask for", "[.][questions]") {
  const char* list = std::getenv("SAGEBUILD_TEST_FILES");
  REQUIRE(list != nullptr);
  const std::string names = read_file(list);
  std::vector<std::vector<std::string>> directives;
  std::vector<std::string> texts, files;
  for (const auto name : lines_of(names)) {
    files.emplace_back(name);
    texts.push_back(read_file(files.back()));
  }
  fmt::print("directives   {:.4f} s\n", seconds_of([&] {
               for (const auto& text : texts) directives.push_back(asking_directives(text));
             }));
  std::vector<const std::vector<std::string>*> all;
  for (const auto& lines : directives) all.push_back(&lines);
  IncludeQuestions found;
  fmt::print("questions    {:.4f} s\n", seconds_of([&] { found = questions_in(all); }));
  fmt::print("{} files ask for {}\n", files.size(), join(found.names, " "));
  if (found.computed_in) fmt::print("computed in {}\n", files[*found.computed_in]);
  CHECK_FALSE(found.computed_in);
}

}  // namespace sagebuild
