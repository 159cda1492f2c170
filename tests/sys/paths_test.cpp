#include "sagebuild/sys/paths.hpp"

#include <unistd.h>

#include <functional>

#include "sagebuild/sys/files.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Runs `work` as somebody to whom modes apply: root looks into every folder.
bool as_nobody(const std::function<void()>& work) {
  if (geteuid() != 0) {
    work();
    return true;
  }
  if (seteuid(65534) != 0) return false;
  work();
  return seteuid(0) == 0;
}

}  // namespace

TEST_CASE("what stands at a path") {
  const TempDir folder;
  write_file(folder.path() / "a/file", "x");
  make_link(folder.path() / "link", "a/file");
  make_link(folder.path() / "nowhere", "none");
  CHECK(is_folder(folder.path() / "a"));
  CHECK(is_file(folder.path() / "link"));
  CHECK(is_link(folder.path() / "link"));
  CHECK_FALSE(path_exists(folder.path() / "nowhere"));
  CHECK(is_link(folder.path() / "nowhere"));
  CHECK_FALSE(path_exists(folder.path() / "a/file/below"));  // no folder, so nothing is below it
  CHECK(entries_of(folder.path()) == std::vector<fs::path>{folder.path() / "a",
                                                           folder.path() / "link",
                                                           folder.path() / "nowhere"});
  CHECK(files_below(folder.path()) ==
        std::vector<fs::path>{folder.path() / "a/file", folder.path() / "link"});
  CHECK(entries_if_readable(folder.path() / "none").empty());
  CHECK(size_of_file(folder.path() / "link") == 1);
  CHECK(link_target(folder.path() / "link") == "a/file");
}

TEST_CASE(
    "what the system refuses is an error with path, reason and next step, or counts as not there") {
  const TempDir folder;
  const fs::path closed = folder.path() / "closed";
  write_file(closed / "file", "x");
  fs::permissions(closed, fs::perms::none);
  fs::permissions(folder.path(), fs::perms::all);
  const fs::path inside = closed / "file";
  std::vector<Error> errors;
  const bool could = as_nobody([&] {
    const std::vector<std::function<void()>> questions = {
        [&] { path_exists(inside); },
        [&] { is_folder(inside); },
        [&] { is_file(inside); },
        [&] { is_link(inside); },
        [&] { real_path(inside); },
        [&] { link_target(inside); },
        [&] { entries_of(closed); },
        [&] { files_below(closed); },
        [&] { last_written(inside); },
        [&] { size_of_file(inside); },
        [&] { remove_path(inside); },
        [&] { make_link(closed / "link", "x"); },
        [&] { move_path(inside, closed / "other"); }};
    for (const auto& question : questions) {
      try {
        question();
        FAIL_CHECK("no error from question " << errors.size());
      } catch (const Error& error) {
        errors.push_back(error);
      }
    }
    CHECK_FALSE(is_there(inside));
    CHECK(entries_if_readable(closed).empty());
    CHECK(real_path_if_any(inside).filename() == "file");
  });
  fs::permissions(closed, fs::perms::owner_all);
  REQUIRE(could);
  CHECK(errors.size() == 13);
  for (const Error& error : errors) {
    CHECK(error.kind == ErrorKind::failed);
    CHECK(error.message.find(closed.string()) != std::string::npos);
    CHECK(error.causes == std::vector<std::string>{"Permission denied"});
    CHECK(error.hint.find("permissions") != std::string::npos);
  }
}

}  // namespace sagebuild
