#include "cache/code_text.hpp"

#include <cctype>
#include <random>
#include <utility>
#include <vector>

#include "cache/fixture.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

using namespace std::string_literals;

// Where "@" stands a comment's inside may be put: text without a newline, and without the signs
// that end it.
constexpr std::string_view kNasty = R"text(/*@*/#define ONE/*@*/1 /*@*/ + 1 //@
#define STRING(x) #x/*@*/
const char* s = STRING(a/*@*/b "/*kept*/" 'c') "// kept" "\"/*"; //@
   /*@*/  int a = 1'000'000/*@*/+ 0xAB'CDu; // '@
int b = a /*@*/ / /*@*/ 2; char c = '"'; char d = '\''; /*@
@*/ int e = ONE; /*@


@*/	int f;
#define LONG(x) do { /*@*/ \
    f = x; /*@*/           \
  } while (0) /*@*/
#if 0 //@
a "quoted // text" in what is skipped /*@*/ 'x'
#include <no//header>
#endif /*@*/
#include <cstddef>
#/*@*/ifdef ONE //@
#pragma unroll 4 //@
#pragma GCC diagnostic ignored "-Wall" /*@*/
#endif
int line = __LINE__; /*@*/ LONG(1 + /*@*/
  2 //@
); int g = ONE/*@*/; //@
#define JOIN(a, b) a##b /*@*/
int JOIN(x, /*@*/ y) = - /*@*/ -f, z = -/*@*/-f;  //@
/*@*/
//@
#define EMPTY //@
#line 300 "other.cu" //@
int end = __LINE__ EMPTY; /*@*/)text";

// Those that end a line are of any length; `geometry` gives the lengths of the others.
std::string with_comments(std::mt19937& random, unsigned geometry,
                          std::string_view frame = kNasty) {
  static const std::vector<std::string> words = {"it's ", "\"", "#define ", " // ",   "R\"( ",
                                                 "\t",    "é",  "*",        " ?\?( ", "'"};
  std::mt19937 lengths(geometry);
  std::string text;
  for (std::size_t at = 0; at < frame.size(); ++at) {
    if (frame[at] != '@') {
      text += frame[at];
      continue;
    }
    const bool is_last = frame.substr(at + 1, 1) == "\n";
    const std::size_t length = is_last ? random() % 200 : lengths() % 30;
    std::string inside;
    while (inside.size() < length) inside += words[random() % words.size()];
    inside.resize(length);
    if (!inside.empty()) inside.back() = '.';
    text += inside;
  }
  return text;
}

std::string preprocessed(const fs::path& file, const std::vector<std::string>& options = {}) {
  Command command{{"g++", "-E", "-std=c++20", "-x", "c++", file}};
  command.argv.insert(command.argv.end(), options.begin(), options.end());
  return run_checked(command, "g++ -E").output;
}

}  // namespace

TEST_CASE("a comment is blanks, and everything else stays where it is") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"int a; // x\nint b;", "int a;\nint b;"},
      {"int a; /* x */ int b;\n", "int a;         int b;\n"},
      {"int a; /* x\n  y */ int b;\n", "int a;\0\n       int b;\n"s},
      {"a/**/b/***//c", "a    b     /c"},
      {"a /*/ b */ c", "a          c"},
      {"a // b /* c\nd */", "a\nd */"},
      {"/* // */ a", "         a"},
      {"a \t\v\f\r\n  b\r\n", "a\n  b\n"},
      {"\"/*\" a \"\\\"//\" // c", "\"/*\" a \"\\\"//\""},
      {"'\"' /* ' */ '\\'' '//'", "'\"'         '\\'' '//'"},
      {"1'000'000 /* ' */ 0xAB'CD 1e+5 .5'0", "1'000'000         0xAB'CD 1e+5 .5'0"},
      {"é'x' /* c */", "é'x'"},
      {"FOOR \"(//)\" // c", "FOOR \"(//)\""},
      {"FOOR\"(//)\" // c", "FOOR\"(//)\""},
      {"#define A(x) \\  \n  x /* c */ \\\n  + 1 // d\n",
       "#define A(x) \\\n  x         \\\n  + 1\n"},
      {"#define A {\\\n} f(a,\\\nb);\\\nint", "#define A {\\\n} f(a,\\\nb);\\\nint"},
      {"#include <a//b> // c\nint; // d", "#include <a//b> // c\nint;"},
      {"#include <a/*b> // */ c\r\nint; // d", "#include <a/*b> // */ c\nint;"},
      {" /* c */ # include <a//b> // d", "         # include <a//b> // d"},
      {"%: import <a//b>", "%: import <a//b>"},
      {"#embed <a//b> // c", "#embed <a//b> // c"},
      {"#if 1 && \\\n  __has_include(<a//b>) // c\nint; // d",
       "#if 1 && \\\n  __has_include(<a//b>) // c\nint;"},
      {"#if HAS(<a//b>)", "#if HAS(<a//b>)"},
      {"#pragma GCC dependency <a//b>", "#pragma GCC dependency <a//b>"},
      {"#if A > 1 // c", "#if A > 1"},
      {"#define X 1 /* c\n d */ + 1 // e", "#define X 1\0\n      + 1"s},
      {"a # include <b//c>", "a # include <b"},
      {"// it's \"fine\" R\"( ?\?( \n", "\n"},
      {"py::module_::import(\"x\"); // c", "py::module_::import(\"x\");"},
      {"", ""},
  };
  for (const auto& [text, code] : table) {
    CAPTURE(text);
    CHECK(code_text(text) == code);
  }
}

TEST_CASE("in doubt there is no code text, and the bytes count") {
  const std::vector<std::string> table = {
      "R\"(//)\"", "LR\"(//)\"", "uR\"(//)\"", "UR\"(//)\"", "u8R\"(//)\"", "”R\"(//)\"",
      "$R\"(//)\"", "1”R\"(//)\"",
      // not closed on the line
      "#error don't // c\n", "\"a\nb\"", "\"a\\\nb\"", "\"a\\ \r\nb\"", "'",
      "#if 0\nit's\n#endif\n", "1'000' ", "1'' // c", "1'\n",
      // comments and backslashes
      "// a \\\nb", "// a \\ \t\r\nb", "// a ?\?/\nb", "/\\\n/ c", "/\\ \n* c */",
      "/* a *\\\n/ b */", "#define A x \\ // c\n y", "a \\ /* c */\nb", "a \\ // c", "a \\",
      "a *\\\n b", "a /\\\n b", "/* a", "/*/", "#include \"a\" /* b\n*/", "#include <a/*b>\n",
      "#include <a> /\\\n* c */", "#include <a> /* */ R\"(x)\"", "#include <a> R\\\n\"(x)\"",
      // words in parts
      "R\\\n\"(//)\"", "u8\\\nR\"(//)\"", "1\\\n'0", "#inc\\\nlude <a//b>", "+\\\n'a'",
      "R\\\n\\\n\"()\"",
      // what is left of a directive
      "#define X /*\n*/ include <a//b>", "#if /*\n*/ HAS(<a//b>)", "import <a//b>;",
      "export import <a//b>;",
      // other characters and lines
      "a\0b"s, "a\rb", "// a\rb\n", "\r", "\xEF\xBB\xBF#include <a//b>", "?\?=include <a//b>",
      "?\?'", std::string(4001, 'x'), "// " + std::string(4001, 'x') + "\nint a;"};
  for (const auto& text : table) {
    CAPTURE(text);
    CHECK_FALSE(code_text(text));
    CHECK(code_digest(text) == sha256(text));
  }
  CHECK(code_text("//" + std::string(3998, 'x') + "\n") == "\n");
}

TEST_CASE("a digest of code is none of bytes, also not of the same text") {
  CHECK(code_digest("int a;") != sha256("int a;"));
  CHECK(code_digest("int a; // x") == code_digest("int a;"));
  CHECK(code_digest("int a; /*\n*/") != code_digest("int a;\n"));
  CHECK(code_digest("#define X 1 /*\n*/ + 1") != code_digest("#define X 1 \n   + 1"));
}

TEST_CASE("a file is code by its suffix") {
  for (const auto* name :
       {"a.h", "a.hh", "a.hpp", "a.hxx", "a.cuh", "a.cu", "a.cc", "a.cpp", "a.cxx", "b/a.b.inl"})
    CHECK(is_code(name));
  for (const auto* name :
       {"a.c", "a.py", "a.inc", "a.s", "vector", "a.H", "cu", "h", "a.cuda", "cpp/a"})
    CHECK_FALSE(is_code(name));
}

TEST_CASE("an #embed is seen, and a word that looks like it is not") {
  for (const auto* text :
       {"#embed \"a.cuh\"", "\n # /* c */ embed <a>", "%:embed <a>", "?\?=embed <a>"})
    CHECK(may_embed(text));
  for (const auto* text : {"embed();", "#include \"embedding.h\"", "#define embed_dim 1",
                           "// embed\n", "#\nembed", ""})
    CHECK_FALSE(may_embed(text));
}

TEST_CASE("g++ reads the same where the code text is the same: lines, columns, macros, pragmas") {
  const CacheWorld world;
  std::mt19937 random(20);
  for (unsigned geometry = 0; geometry < 5; ++geometry) {
    const std::string before = with_comments(random, geometry);
    const std::string text = preprocessed(world.file("a.cu", before));
    const std::string macros = preprocessed(world.file("a.cu", before), {"-dD"});
    for (int round = 0; round < 2; ++round) {
      const std::string after = with_comments(random, geometry);
      CAPTURE(before, after);
      REQUIRE(code_text(after));
      CHECK(code_text(after) == code_text(before));
      CHECK(preprocessed(world.file("a.cu", after)) == text);
      CHECK(preprocessed(world.file("a.cu", after), {"-dD"}) == macros);
    }
  }
}

TEST_CASE("g++ reads blanks as it reads a comment") {
  const CacheWorld world;
  const std::string text =
      "/* a */ int a; // b\n#define A/* c */1\n/**/#define S(x) #x /* d */\r\n"
      "const char* s = S(a/* e */+b); int b = -/**/-A/* f */;\t\n  /* g */\nint/* h */c = A; // i";
  const auto code = code_text(text);
  REQUIRE(code);
  CHECK(code->find("*/") == std::string::npos);
  CHECK(preprocessed(world.file("a.cu", *code)) == preprocessed(world.file("a.cu", text)));
}

TEST_CASE("random edits: of comments none counts, of tokens and lines each does") {
  std::mt19937 random(7);
  for (unsigned geometry = 0; geometry < 300; ++geometry) {
    const std::string before = with_comments(random, geometry);
    const Digest digest = code_digest(before);
    REQUIRE(code_text(before));
    const std::string same = with_comments(random, geometry);
    CAPTURE(before, same);
    CHECK(code_digest(same) == digest);

    std::string frame(kNasty);  // which has no letters but those of tokens
    std::size_t at = 0;
    do at = random() % frame.size();
    while (std::isalnum(static_cast<unsigned char>(frame[at])) == 0);
    const std::string with_line = frame.substr(0, at) + "\n" + frame.substr(at);
    frame[at] = frame[at] == 'q' ? 'r' : 'q';
    const std::string other = with_comments(random, geometry, frame);
    CAPTURE(other);
    CHECK(code_digest(other) != digest);
    CHECK(code_digest(with_comments(random, geometry, with_line)) != digest);
  }
}

}  // namespace sagebuild
