#include "sagebuild/nvcc/text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"
#include "support/catch.hpp"

namespace sagebuild {
namespace {

const PathRoots kRoots = {
    {"tree", "/tmp/b1/tree"}, {"site", "/venv/lib/python3.11/site-packages"}, {"venv", "/venv"}};

TEST_CASE("a path below a root gets its fixed name, the deepest root wins") {
  CHECK(mapped_path("/tmp/b1/tree/csrc/a.cu", kRoots) == "/sagebuild/tree/csrc/a.cu");
  CHECK(mapped_path("/venv/lib/python3.11/site-packages/torch/x.h", kRoots) ==
        "/sagebuild/site/torch/x.h");
  CHECK(mapped_path("/venv/bin", kRoots) == "/sagebuild/venv/bin");
  CHECK(mapped_path("/tmp/b1/tree2/a.cu", kRoots) == "/tmp/b1/tree2/a.cu");
  CHECK(macro_prefix_maps(kRoots).back() ==
        "-fmacro-prefix-map=/venv/lib/python3.11/site-packages=/sagebuild/site");
}

TEST_CASE("line markers are mapped, other lines untouched") {
  const PathRoots roots = {{"tree", "/t\\q/\"x y"}};
  CHECK(normalised_text("# 1 \"/t\\\\q/\\\"x y/a.cu\" 1 3\nint a; // \"/tmp\"\n# 3\n", roots) ==
        "# 1 \"/sagebuild/tree/a.cu\" 1 3\nint a; // \"/tmp\"\n# 3\n");
  CHECK(normalised_text("#pragma X \"/t\\\\q/\"\nno newline", roots) ==
        "#pragma X \"/t\\\\q/\"\nno newline");
}

// Every token with the file and the line that it counts as.
std::vector<std::string> placed_tokens(std::string_view text) {
  std::vector<std::string> tokens;
  std::string_view file;
  long long line = 0;
  for (const std::string_view one : lines_of(text)) {
    if (one.starts_with("# ") && one.size() > 2 && one[2] >= '0' && one[2] <= '9') {
      const auto words = split(one, " ");
      line = to_integer(words[1]).value();
      file = words[2];
      continue;
    }
    for (const auto word : split(one, " "))
      if (!word.empty()) tokens.push_back(fmt::format("{}:{} {}", file, line, word));
    ++line;
  }
  return tokens;
}

TEST_CASE("what the preprocessor tells of macros changes no token and no line number") {
  const TempDir dir("text");
  const auto source = dir.path() / "a.cu";
  write_file(source, R"x(#include <vector>
#define N 4
#define M(x) x + N
#define TWO(a, b) a b
#define P(x) _Pragma(#x)
#define HASH # define Z 3
#define EMPTY
int f(int x) {
#pragma omp parallel for num_threads(N)
  for (int i = 0; i < N; ++i) x += M(i);
#pragma unroll N
  for (int i = 0; i < 3; ++i) x += TWO(i,
     + N
#ifdef NOWHERE
 1
#endif
     );
  P(unroll N) for (;;) { x += __LINE__ + N; x += __COUNTER__; }
  TWO(int y = 0;, P(omp parallel for num_threads(N))) for (;;) {}
  const char* s = R"(
#define A 1
#undef N
)"; const char* t = TWO("a", R"d(
#define B)d");
  EMPTY # define G 1
  HASH
#if N > 3 && NOWHERE_EITHER
#endif
  M
  (3
   );
  M EMPTY
  ; int z = M(N
   ) + __COUNTER__; EMPTY
#pragma push_macro("N")
#undef N
  N
#pragma pop_macro("N")
  N
  return x; }
)x");
  const auto preprocessed = [&](const std::vector<std::string>& more) {
    const auto text = dir.path() / "a.ii";
    Command command;
    command.argv = {"g++", "-std=c++17", "-E", "-x", "c++", source, "-o", text};
    command.argv.insert(command.argv.end(), more.begin(), more.end());
    run_checked(command, "cannot preprocess");
    return read_file(text);
  };
  for (const std::string option : {"-fno-openmp", "-fopenmp"}) {
    INFO(option);
    const std::string asked = preprocessed({option, "-dU", "-Wundef"});
    CHECK(asked.find("\n#define N 4\n") != std::string::npos);
    const auto ours = placed_tokens(normalised_text(asked, {}));
    const auto plain = placed_tokens(preprocessed({option}));
    REQUIRE(ours.size() == plain.size());
    const auto [one, other] = std::ranges::mismatch(ours, plain);
    if (one != ours.end()) FAIL(*one << " instead of " << *other);
  }
}

TEST_CASE("a macro of several lines leaves as a whole") {
  CHECK(normalised_text("int a;\n#define X R\"(1\n#undef Y\n2)\" 3\nint b;\n", {}) ==
        "int a;\n\n\n\nint b;\n");
}

TEST_CASE("the token digest sees tokens alone") {
  const auto digest = token_digest("# 1 \"a.cu\"\nint a;\n\nint b;\n");
  CHECK(token_digest("# 9 \"b.cu\" 1\nint a;\n# 12\nint b;\n") == digest);
  CHECK(token_digest("# 1 \"a.cu\"\nint a;\n\nint c;\n") != digest);
  CHECK(token_digest("# 1 \"a.cu\"\nint a;\nint b;\nint b;\n") != digest);
  CHECK(token_digest("#pragma unroll\nint a;\n\nint b;\n") != digest);
}

TEST_CASE("inside a raw string every line is text") {
  const auto differ = [](const std::string& one, const std::string& other) {
    return token_digest(one) != token_digest(other) &&
           host_text_digest(one) != host_text_digest(other);
  };
  for (const std::string start : {"auto a = R\"(x\n", "f('\"', \"\\\"R\", 1'0, u8R\"d(x)\"\n"}) {
    const std::string end = start.find("d(") == std::string::npos ? ")\";\n" : ")d\");\n";
    INFO(start);
    CHECK(differ(start + end, start + "\n" + end));
    CHECK(differ(start + end, start + "# 1 \"b.cu\"\n" + end));
    CHECK(differ(start + "#if 0\na\n#endif\n" + end, start + "#if 0\nb\n#endif\n" + end));
    CHECK_FALSE(
        differ(start + end + "# 1 \"a.cu\"\nint a;\n", start + end + "\n# 2 \"b.cu\"\nint a;\n"));
    const std::string marker = start + "# 1 \"/work/p/a.cu\"\n" + end;
    CHECK(normalised_text(marker, {{"tree", "/work/p"}}) == marker);
  }
  // None of these begins one.
  for (const std::string line : {"auto a = \"R\"; auto b = \"(\";\n", "auto a = MACRO_R\"(\";\n",
                                 "char a = 'R', b = '\"';\n"}) {
    INFO(line);
    CHECK_FALSE(differ(line + "int a;\n", line + "\n# 2 \"b.cu\"\nint a;\n"));
  }
}

TEST_CASE("a use of source_location counts under every name that its class may have") {
  const std::string declared =
      "struct S { static consteval S current(T p = __builtin_source_location()) noexcept; };\n";
  const auto placed = [&](const std::string& use) {
    return token_digest(declared + "# 1 \"a.cu\"\n" + use) !=
           token_digest(declared + "# 2 \"a.cu\"\n" + use);
  };
  CHECK(placed("using L = S; int f(L l = L::current());\n"));
  CHECK(placed("int f(S l = S :: current());\n"));
  CHECK(placed("int f(S l) { return l.current().line(); }\n"));
  CHECK_FALSE(placed("int f(S l); int current; int g = S::current_line;\n"));
}

TEST_CASE("a text that asks for its place keeps its markers in the digest") {
  for (const std::string ask :
       {"__builtin_LINE()", "__builtin_FILE()", "std::source_location::current()"})
    CHECK(token_digest("# 1 \"a.cu\"\n" + ask) != token_digest("# 2 \"a.cu\"\n" + ask));
}

TEST_CASE("the host digest leaves device bodies out and nothing else") {
  const std::string_view text =
      "void k(int *p) ;\n#if 0\n# 6\n{ (*p) = 1; } \n#if 1\n#endif\n#endif\nint x;\n";
  const auto digest = host_text_digest(text);
  CHECK(host_text_digest("void k(int *p) ;\n#if 0\n# 8\n{ (*p) = 2; } \n#endif\nint x;\n") ==
        digest);
  CHECK(host_text_digest("void k(int *p) ;\n#if 0\n# 8\n{ (*p) = 2; } \n#endif\nint y;\n") !=
        digest);
  CHECK(host_text_digest("void k(int *q) ;\n#if 0\n# 8\n{ (*p) = 2; } \n#endif\nint x;\n") !=
        digest);
}

TEST_CASE("template kernels' bodies are marked, one for each") {
  std::string text =
      "template<class T> static void __wrapper__device_stub_tk(T *&p) { ::cudaLaunchKernel(0, 0, "
      "0, 0, 0, 0);}\n"
      "template<class T> static void tk(T *p) {__wrapper__device_stub_tk<T>(p);return;}\n";
  CHECK(template_kernels(text) == 1);
  CHECK(mark_missing_kernels(text) == 1);
  CHECK(text.find("cudaLaunchKernel") == std::string::npos);
  CHECK(text.find(std::string(kMissingKernel) + "();}") != std::string::npos);
}

TEST_CASE("template kernels in a namespace are counted too") {
  // As nvcc 13.0 writes them, with and without a name (examples/minisage has the second kind).
  const std::string text =
      "namespace outer {template< int N> static void tk(float *p) "
      "{::outer::__wrapper__device_stub_tk<N>(p);return;}}\n"
      "namespace {template< int N> static void k1(float *p) "
      "{::_GLOBAL__N__0b9f0c64_4_a_cu__Z2goPfb::__wrapper__device_stub_k1<N>(p);return;}}\n"
      "template< int N> static void __wrapper__device_stub_k1(float *&p) { }\n";
  CHECK(template_kernels(text) == 2);
}

TEST_CASE("plain kernels are found by the body that cudafe++ took away") {
  CHECK(plain_kernels("# 11\n__attribute__((visibility(\"hidden\"))) void only(int *p) ;\n#if 0\n# "
                      "11\n{ } \n#endif\n"
                      "void host(int *); \nvoid old(int (*f)(int)) ;\n#if 0\n{ }\n#endif\nint f() "
                      "{ return 1; }\n") == std::vector<std::string>{"old", "only"});
}

TEST_CASE("a stub names its kernels") {
  CHECK(
      registered_kernels(
          "__cudaRegisterEntry(__T0, ((void ( *)(int *))k), _Z1kPi, (-1)); "
          "__cudaRegisterEntry(__T0, ((void ( *)(P))tk<int, (int)3> ), _Z2tkIiLi3EEvP, (-1)); }") ==
      std::vector<std::string>{"_Z1kPi", "_Z2tkIiLi3EEvP"});
}

TEST_CASE("PTX: target, kernels, and globals that nothing refers to") {
  const std::string ptx =
      "//\n.version 9.0\n.target sm_89, debug\n.address_size 64\n.global .align 1 .b8 "
      "a[1];\n.global .align 4 .u32 "
      "used;\n"
      ".visible .entry _Z1kPi(\n.param .u64 p\n)\n{\nld.global.u32 %r1, [used];\n}\n.entry two(\n";
  CHECK(ptx_target(ptx) == "sm_89");
  CHECK(ptx_entries(ptx) == std::vector<std::string>{"_Z1kPi", "two"});
  const auto reduced = without_unreferenced_globals(ptx);
  CHECK(reduced.find("a[1]") == std::string::npos);
  CHECK(reduced.find(".u32 used;") != std::string::npos);
}

TEST_CASE("a dependency file's names, with gcc's escapes") {
  const auto files =
      depfile_inputs("x.o: a\\ b.cu /usr/include/c.h \\\n dollar$$.h \\\n \\\n d.h\n");
  CHECK(files ==
        std::vector<std::filesystem::path>{"a b.cu", "/usr/include/c.h", "dollar$.h", "d.h"});
}

}  // namespace
}  // namespace sagebuild
