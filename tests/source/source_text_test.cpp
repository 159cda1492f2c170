#include "sagebuild/source/fetch.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

std::string read(std::string_view text, std::string ref = "", std::string subfolder = "") {
  const SourceSpec spec = read_source(text, std::move(ref), std::move(subfolder));
  return spec.location + " " + spec.ref + " " + spec.subfolder;
}

}  // namespace

TEST_CASE("pip's way to name a git source is understood") {
  CHECK(read("git+https://example.org/o/r@v1.2#subdirectory=sub/dir") ==
        "git+https://example.org/o/r v1.2 sub/dir");
  CHECK(read("r @ git+https://example.org/o/r.git@main#egg=r&subdirectory=x/") ==
        "git+https://example.org/o/r.git main x");
  CHECK(read("git+ssh://git@example.org/o/r.git") == "git+ssh://git@example.org/o/r.git  ");
  CHECK(read("git+https://token@example.org/o/r@main") ==
        "git+https://token@example.org/o/r main ");
  CHECK(read("https://example.org/o/r#subdirectory=x", "main") == "https://example.org/o/r main x");
  for (const char* folder : {"./x", "x//", "x/.", "./x/"})
    CHECK(read("/tree", "", folder) == "/tree  x");
  CHECK(read("/tree", "", "./") == "/tree  ");
  CHECK_THROWS_MATCHES(read("git+https://example.org/o/r#extra=x"), Error,
                       says("'#extra=x'").hints("--subfolder"));
}

TEST_CASE("a forge's page is understood, or refused with the command that says the same") {
  CHECK(read("https://github.com/o/r/tree/main") == "https://github.com/o/r main ");
  CHECK(read("https://github.com/o/r/tree/main/") == "https://github.com/o/r main ");
  CHECK(read("https://github.com/o/r/commit/d1a57a5") == "https://github.com/o/r d1a57a5 ");
  CHECK(read("https://github.com/o/r/pull/332") == "https://github.com/o/r pull/332/head ");
  CHECK(read("https://gitlab.com/o/r/-/tree/main") == "https://gitlab.com/o/r main ");
  CHECK_THROWS_MATCHES(
      read("https://github.com/o/r/tree/main/sub/dir"), Error,
      says("is the address of a page")
          .hints("--source https://github.com/o/r --ref main --subfolder sub/dir"));
  CHECK_THROWS_MATCHES(
      read("https://github.com/o/r/blob/main/setup.py"), Error,
      says("is the address of a page").hints("--source https://github.com/o/r --ref main"));
  CHECK(read("https://github.com/o/tree") == "https://github.com/o/tree  ");
}

TEST_CASE("what is no such text stays as it is") {
  for (const char* text :
       {"/a/b@c#d", "folder", "git@example.org:o/r.git", "https://github.com/o/r.git",
        "https://user@example.org/o/r", "file:///x/y"})
    CHECK(read(text) == std::string(text) + "  ");
}

TEST_CASE("a ref or a folder that is said twice is refused, and so is one outside of the source") {
  CHECK_THROWS_MATCHES(read("https://github.com/o/r/tree/main", "v1"), Error,
                       says("--ref says 'v1'"));
  CHECK(read("https://github.com/o/r/tree/main", "main") == "https://github.com/o/r main ");
  CHECK_THROWS_MATCHES(read("git+https://u:pw@h/o/r#subdirectory=a", "", "b"), Error,
                       says("--subfolder says 'b' and the source 'https://h/o/r"));
  CHECK_THROWS_MATCHES(read("x", "", "../y"), Error, says("'../y' is no folder inside the source"));
  CHECK_THROWS_MATCHES(read("x", "", "/y"), Error, says("no folder inside"));
}

}  // namespace sagebuild
