#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/secret.hpp"
#include "sagebuild/base/shown.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/base/toml.hpp"
#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE("an error is printed with its causes, hint and log") {
  const Error error(ErrorKind::failed, "cannot patch 'setup.py'",
                    {"rule 'arch-list' matched 0 times", "line 12"}, "try --diff", "/tmp/run.log");
  CHECK(error.rendered() ==
        "error: cannot patch 'setup.py'\n"
        "  caused by: rule 'arch-list' matched 0 times\n"
        "  caused by: line 12\n"
        "\nhint: try --diff\n"
        "log: /tmp/run.log\n");
}

TEST_CASE("shell words are read as a POSIX shell reads them, and written back") {
  CHECK(shell_words(R"(g++ -DA='x y' "b\"c" d\ e '' "a\b")") ==
        std::vector<std::string>{"g++", "-DA=x y", "b\"c", "d e", "", "a\\b"});
  CHECK_THROWS_MATCHES(shell_words("g++ 'open"), Error, says("never closed"));
  const std::vector<std::string> odd = {"",   "a b", "it's",     "$HOME", "plain-1.0+cu130",
                                        "\\", "\"",  "new\nline"};
  CHECK(shell_words(shell_line(odd)) == odd);
}

TEST_CASE("launchers in front of a compiler are left out, whatever folder they are in") {
  using Words = std::vector<std::string>;
  CHECK(without_launcher({"ccache", "/usr/bin/sccache", "g++-12", "-c"}) == Words{"g++-12", "-c"});
  CHECK(without_launcher({"distcc", "/opt/ccache/g++"}) == Words{"/opt/ccache/g++"});
  CHECK(without_launcher({"ccache"}) == Words{"ccache"});
  CHECK(without_launcher({}).empty());
}

TEST_CASE("the first byte that is no UTF-8") {
  CHECK_FALSE(first_bad_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"));
  CHECK(first_bad_utf8("ab\xff") == 2U);
  CHECK(first_bad_utf8("a\xc3") == 1U);             // cut
  CHECK(first_bad_utf8("\xc0\x80") == 0U);          // overlong
  CHECK(first_bad_utf8("ab\xed\xa0\x80") == 2U);    // a surrogate
  CHECK(first_bad_utf8("\xf4\x90\x80\x80") == 0U);  // above U+10FFFF
}

TEST_CASE("the nearest known word is offered only when it is near") {
  CHECK(nearest("blackwel", {"Ada", "blackwell", "hopper"}) == "blackwell");
  CHECK_FALSE(nearest("zebra", {"Ada", "blackwell"}));
  CHECK_FALSE(nearest("all", {"ada"}));
  // Found by fuzz_archs: letter by letter this would take a minute.
  CHECK_FALSE(nearest(std::string(20'000'000, 'q'), std::vector<std::string>(50, "blackwell")));
  CHECK(nearest("nmae", {"name"}) == "name");  // two letters swapped are one slip
}

TEST_CASE("digests are those of sha256sum, in both spellings") {
  const Digest digest = sha256("abc");
  CHECK(digest.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest.base64url() == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
  CHECK(digest_from_hex(digest.hex()) == digest);
  CHECK_THROWS_AS(digest_from_hex("xyz"), Error);
  CHECK(git_blob_id("hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  CHECK(Sha256().field("ab").field("c").finish() != Sha256().field("a").field("bc").finish());
}

TEST_CASE("secrets do not survive redaction, and are forgotten when they end") {
  {
    const Secret token("topsecretvalue");
    CHECK(redacted("Authorization: Bearer topsecretvalue") == "Authorization: Bearer ***");
    CHECK(redacted("https://user:pw@host/path?x=1") == "https://***@host/path?x=1");
    CHECK(redacted("'https://host/a.git?ref=1&private_token=abc&x=2' and more") ==
          "'https://host/a.git?ref=1&private_token=***&x=2' and more");
    CHECK(redacted("token hf_abcdefghijklmnopqrst end") == "token *** end");
  }
  CHECK(redacted("topsecretvalue") == "topsecretvalue");
}

TEST_CASE("a short secret marks no other text, and still stands in no URL and no header") {
  const Secret letter("e"), word("cache");
  CHECK(redacted("the remote cache is slower") == "the remote cache is slower");
  for (const char* text : {"https://user:e@host/x", "https://e@host/x", "git+https://e:e@host/x",
                           "http://u:cache@host"}) {
    INFO(text);
    CHECK(redacted(text).find(std::string("://***@host")) != std::string::npos);
  }
  CHECK(redacted("'https://u:a@h/x' and 'http://u:b@h:80/y'") ==
        "'https://***@h/x' and 'http://***@h:80/y'");
  // Characters that should have been written in percent.
  for (const char* text : {"https://u:p?q@host/x", "https://u:p#q@host/x", "https://u:p/q@host/x",
                           "https://u:p@q@host/x"})
    CHECK(redacted(text) == "https://***@host/x");
  CHECK(redacted("http://host:8080/a@b http://[::1]:80/a@b") ==
        "http://host:8080/a@b http://[::1]:80/a@b");
  // Without a scheme, too, but not what only looks like it.
  CHECK(redacted("cache-remote  bob:pw@host  'b.x:p@w/y@host:a/b'") ==
        "cache-remote  ***@host  '***@host:a/b'");
  for (const char* text :
       {"git@host:a/b", "/tmp/a:b@c", "std::f@plt", "foo@@GLIBC_2.2", "ld: main.o: f@V1", "a:@b"})
    CHECK(redacted(text) == text);
  CHECK(redacted("authorization: Basic dTpl\r\nX: y") == "authorization: Basic ***\r\nX: y");
}

TEST_CASE(
    "a TOML value of another type, a missing one and an unknown key are refused with their line") {
  const TomlTable table =
      parse_toml("name = 'x'\narchs = ['8.0', '9.0']\ncount = 3\n[[rule]]\nid = 'a'\n", "r.toml");
  CHECK(table.text("name") == "x");
  CHECK(table.texts("archs") == std::vector<std::string>{"8.0", "9.0"});
  CHECK(table.integer("count") == 3);
  CHECK(table.tables("rule").at(0).required_text("id") == "a");
  CHECK_NOTHROW(table.finish());
  CHECK_THROWS_MATCHES(table.boolean("name"), Error,
                       says("r.toml:1: 'name' must be a boolean, not a string"));
  CHECK_THROWS_MATCHES(table.required_text("url"), Error, says("'url' is missing"));

  const TomlTable typo = parse_toml("nmae = 'x'\n", "r.toml");
  (void)typo.text("name");
  CHECK_THROWS_MATCHES(typo.finish(), Error, says("r.toml:1: unknown key 'nmae'").hints("'name'"));
  CHECK_THROWS_MATCHES(parse_toml("a = \n", "r.toml"), Error, says("r.toml:1:"));
}

TEST_CASE("text of others reaches the terminal without what moves, colours or hides") {
  CHECK(printable("plain \xc3\xa9\xe2\x82\xac\n\ttext") == "plain \xc3\xa9\xe2\x82\xac\n\ttext");
  CHECK(printable("a\033[2Jb\rc\ad\x7f"
                  "e") == "a?[2Jb?c?d?e");
  CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
  CHECK(printable("a\xc2\x9b"
                  "31mb") == "a?31mb");
  CHECK(printable("a\xe2\x80\xae"
                  "b\xe2\x81\xa6") == "a?b?");
  CHECK(printable("\xff"
                  "a\xc3(\xc3") == "?a?(?");
}

TEST_CASE("JSON of others is read to a depth, and whatever it holds can be written again") {
  CHECK(parse_json(R"({"a": [1, {"b": null}]})").value->at("a")[0] == 1);
  CHECK(parse_json(std::string(kDeepestJson, '[') + std::string(kDeepestJson, ']')).value);
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int level = 0; level < 100'000; ++level) deep += open;
    CHECK(parse_json(deep).fault == "it is nested deeper than 64 levels");
  }
  for (const char* text : {"", "{", "<html>", "{\"a\":1} x", "[\"\xff\"]", "1e999"})
    CHECK(parse_json(text).fault == "it is no JSON");
  CHECK(json_line("a\xff") == "\"a\xef\xbf\xbd\"");
}

TEST_CASE("one is not many") {
  CHECK(counted(1, "source") == "1 source");
  CHECK(counted(0, "source") == "0 sources");
  CHECK(counted(12, "module") == "12 modules");
}

TEST_CASE("every occurrence is replaced, and an empty one occurs nowhere") {
  CHECK(replaced("a/b/c", "/", "::") == "a::b::c");
  CHECK(replaced("aa", "a", "aa") == "aaaa");
  CHECK(replaced("abc", "", "x") == "abc");
}

TEST_CASE("a test case that cannot run here", "[.planted]") { SKIP_HERE("planted"); }

TEST_CASE("folders that lie elsewhere in the next build have fixed names, in paths and in texts") {
  const PathRoots roots = {{"tree", "/tmp/x/tree"}, {"work", "/tmp/x/"}, {"none", ""}};
  CHECK(mapped_path("/tmp/x/tree/a.cu", roots) == "/sagebuild/tree/a.cu");
  CHECK(mapped_path("/tmp/x/tree2", roots) == "/sagebuild/work/tree2");
  CHECK(mapped_path("/tmp/xy", roots) == "/tmp/xy");
  CHECK(unmapped_path("/sagebuild/tree/a.cu", roots) == "/tmp/x/tree/a.cu");
  CHECK(unmapped_path("/sagebuild/tree", roots) == "/tmp/x/tree");
  CHECK(unmapped_path("/usr/a.h", roots) == "/usr/a.h");
  CHECK_FALSE(unmapped_path("/sagebuild/cuda/a.h", roots));

  const auto round_trip = [&](const std::string& text, const std::string& fixed) {
    CHECK(with_mapped_paths(text, roots) == fixed);
    CHECK(with_unmapped_paths(fixed, roots) == text);
  };
  round_trip("g++ -I/tmp/x/tree/c -DA=\"/tmp/x/tree\" @/tmp/x/r",
             "g++ -I/sagebuild/tree/c -DA=\"/sagebuild/tree\" @/sagebuild/work/r");
  round_trip("[\"/tmp/x/tree\",\"-L/a:/tmp/x/tree/b\"]\\n/tmp/x\n",
             "[\"/sagebuild/tree\",\"-L/a:/sagebuild/tree/b\"]\\n/sagebuild/work\n");
  round_trip("/tmp/x/tree2 /tmp/x/tree.egg-info",
             "/sagebuild/work/tree2 /sagebuild/work/tree.egg-info");
  round_trip("/mnt/tmp/x/tree lib/tmp/x/tree /tmp/xy /tmp/x-y",  // another folder's paths
             "/mnt/tmp/x/tree lib/tmp/x/tree /tmp/xy /tmp/x-y");
}

TEST_CASE("a path below a folder") {
  CHECK(is_below("/a/b", "/a"));
  CHECK(is_below("/a", "/a"));
  CHECK(is_below("/a", "/"));
  CHECK(is_below("/a/b", "/a/"));
  CHECK_FALSE(is_below("/ab", "/a"));
  CHECK_FALSE(is_below("/a", "/a/b"));
}

TEST_CASE("a text that must stay on its line has no line ends") {
  CHECK(printable_line("a\nb\tc\033d") == "a?b?c?d");
}

}  // namespace sagebuild
