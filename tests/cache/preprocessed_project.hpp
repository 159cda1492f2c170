#pragma once
// A project in a cache world whose hits are compared with what the preprocessor gives now.

#include "cache/fixture.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {

// A source with a header in the second of two include folders, preprocessed by the real g++.
struct Project : CacheWorld {
  fs::path root = work / "träd one";  // a space, and letters beyond ASCII
  std::map<std::string, fs::path> roots = {{"tree", root}};

  Project() {
    write_file(root / "src/a.cu",
               "#include <x/h.h>\n#include \"beside.h\"\n#include <vector>\nint a = VALUE;\n");
    write_file(root / "src/beside.h", "// beside\n");
    write_file(root / "second/x/h.h", "#define VALUE 1\n");
    make_folders(root / "first");
  }
  bool comments_count = true;
  std::vector<fs::path> folders = {"first", "second", "third"};  // below the root
  std::vector<std::string> asked = {};
  SearchScope scope() const {
    SearchScope scope{
        .roots = roots, .include_folders = {}, .asked = asked, .comments_count = comments_count};
    for (const fs::path& place : folders) scope.include_folders.push_back(root / place);
    return scope;
  }
  ActionKey key(const std::string& options = "-O3") const {
    return ActionKey("preprocess", "a.cu").add("options", options);
  }

  std::vector<std::string> preprocessor(const std::string& mode) const {
    std::vector<std::string> argv = {"g++", mode, "-x", "c++", root / "src/a.cu"};
    for (const fs::path& place : scope().include_folders) argv.push_back("-I" + place.string());
    return argv;
  }
  std::string preprocessed() const {
    Command command{preprocessor("-E")};
    command.argv.push_back("-P");
    return run_checked(command, "g++ -E").output;
  }
  std::vector<fs::path> files_read() const {
    const Command command{preprocessor("-M")};
    const auto words = shell_words(replaced(run_checked(command, "g++ -M").output, "\\\n", " "));
    return {words.begin() + 1, words.end()};
  }
  // Later than the files that the test has just written.
  static ActionCache::Clock::time_point started() {
    return ActionCache::Clock::now() + std::chrono::hours(1);
  }

  ActionResult run_and_store() {
    const fs::path text = file("a.ii", preprocessed());
    return cache->store_by_files(key(), scope(), files_read(), started(), {{"text", text}}, {});
  }
  bool hits() {
    const auto found = cache->lookup_by_files(key(), scope());
    // A hit must be what the preprocessor gives now.
    if (found) CHECK(found->files.at("text").digest == sha256(preprocessed()));
    return found.has_value();
  }
};

}  // namespace sagebuild
