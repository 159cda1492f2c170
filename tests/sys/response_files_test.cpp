#include "sagebuild/sys/response_files.hpp"

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("words of @files, as g++ has them") {
  const TempDir folder("sagebuild-response");
  const std::string text =
      GENERATE(as<std::string>{}, "", " \n\t ", "-DA -DB\n-DC", "'-DA=x y' \"-DB=\\\"q\\\"\"",
               "-DA=\\  -DB", "'-DA=a\\'b'", "-D'A'B\"C\"", "'-DA=open end ", "-DA @inner -DZ",
               "@missing -DA", "-DA='' ''-DB");
  CAPTURE(text);
  write_file(folder.path() / "file", text);
  write_file(folder.path() / "inner", "-DI1 @deepest\n");
  write_file(folder.path() / "deepest", "-DI2");
  make_folders(folder.path() / "folder");

  const Words ours = with_response_files(
      {"g++", "-DFIRST", "@file", "@missing", "@folder", "-DLAST"}, folder.path());
  // Which -D the driver understood.
  Command asked{
      .argv = {"g++", "-DFIRST", "@file", "-DLAST", "-dM", "-E", "-x", "c++", "/dev/null"}};
  asked.cwd = folder.path();
  Command given{.argv = {"g++"}, .cwd = folder.path()};
  for (std::size_t i = 1; i < ours.size(); ++i)
    if (!ours[i].starts_with("@")) given.argv.push_back(ours[i]);
  given.argv.insert(given.argv.end(), {"-dM", "-E", "-x", "c++", "/dev/null"});
  if (text.find("@missing") == std::string::npos) CHECK(run(asked).output == run(given).output);
  CHECK(ours.front() == "g++");
  CHECK(std::ranges::count(ours, "@missing") == (text.starts_with("@missing") ? 2 : 1));
  CHECK(std::ranges::count(ours, "@folder") == 1);
  CHECK(std::ranges::count(ours, "@file") == 0);
}

TEST_CASE("a file of arguments that names itself is refused") {
  const TempDir folder("sagebuild-response");
  write_file(folder.path() / "file", "-DA @file");
  CHECK_THROWS_AS(with_response_files({"g++", "@file"}, folder.path()), Error);
}

}  // namespace
}  // namespace sagebuild
