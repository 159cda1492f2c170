// Where a source may be cut, and what keeps it whole.
#include "sagebuild/nvcc/parts.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace sagebuild {
namespace {

constexpr const char* kKernel =
    "template <int N> __attribute__((global)) void k(int* p) { p[0] = N; }\n";
const std::string kFirst = "void first(int* p) { k<1><<<1, 1>>>(p); }\n";
const std::string kSecond = "void second(int* p) { k<2><<<1, 1>>>(p); k<3><<<1, 1>>>(p); }\n";

LaunchersOutcome launchers_of(const std::string& more, const std::string& behind = "") {
  const std::string text =
      "# 1 \"/usr/include/other.h\"\nnamespace { int theirs; }\n"
      "# 1 \"/tree/a.cu\" 2\n" +
      std::string(kKernel) + more + kFirst + kSecond + behind;
  return find_launchers(text, [](std::string_view file) { return file.starts_with("/tree/"); });
}

std::string refusal_of(const std::string& more, const std::string& behind = "") {
  return launchers_of(more, behind).refusal;
}

std::vector<std::string> names_of(const LaunchersOutcome& found) {
  std::vector<std::string> names;
  for (const Launcher& launcher : found.launchers) names.push_back(launcher.name);
  return names;
}

TEST_CASE("launchers are found by name, with what they start") {
  const auto found = launchers_of("");
  CHECK(found.refusal.empty());
  REQUIRE(names_of(found) == std::vector<std::string>{"first", "second"});
  CHECK(found.launchers[0].launches == 1);
  CHECK(found.launchers[1].launches == 2);
  CHECK(found.launchers[0].head == "void first(int* p)");
}

TEST_CASE("what each unit may have for itself stands in the way of no cut") {
  for (const std::string harmless : {
           "template <class T> struct Traits { static constexpr int n = 4; };\n",
           "template <> struct Traits2<int> : Base<(3 > 2)> { int x{1}; };\n",
           "enum class Mode : int { causal, none };\n",
           "typedef struct { int a; } Pair;\nusing Word = unsigned;\n",
           "constexpr int kTable[] = {1, 2};\nstatic constexpr float kScale = 1.0f;\n",
           "const int kWidth = 16 * 2;\n",
           "inline int twice(int x) { static int calls = 0; ++calls; return 2 * x; }\n",
           "static __attribute__((device)) __inline__ int id(int x) { return x; }\n",
           "static __attribute__((device)) int plus(int x) { return x + 1; }\n",
           "const unsigned kAll[] = {1, 2 + 3};\n",
           "struct S { static constexpr int n = 1; static int twice(int x) { return x; } };\n",
           "template <class T> T value() { static T one; return one; }\n",
           "extern __attribute__((shared)) float memory[];\nextern \"C\" int printf(const "
           "char*);\n",
           "namespace detail { inline namespace v1 { struct S {}; } }\nnamespace d = detail;\n",
           "void first(int* p);\nint somewhere(int* p, int n = (1 < 2));\n",
           "template <class T> void start(T* p) { k<9><<<1, 1>>>(p); }\n",
           "static_assert(sizeof(int) == 4, \"no } here\");\n",
           "extern template struct Traits<int>;\n",
           "const char* name_of(int n);\n#pragma pack(push, 1)\n",
           "inline int sum(int* p) {\n#pragma unroll\n for (;;) break; return 1; }\n",
       }) {
    CAPTURE(harmless);
    CHECK(refusal_of(harmless) == "");
    CHECK(names_of(launchers_of(harmless)) == std::vector<std::string>{"first", "second"});
  }
}

TEST_CASE("what would be there once per part, or cannot be declared, keeps a source whole") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"static int calls = 0;\n", "variable 'calls' would be there once per part"},
      {"int calls;\n", "variable 'calls' would be there once per part"},
      {"static Registrar r(\"op\", 1);\n", "'r' may be a variable"},
      {"const Registrar r(1);\n", "'r' may be a variable"},
      {"static int f(int);\n", "'f' may be a variable"},
      {"void third(int* p) {\n#pragma pack(push, 1)\n}\n",
       "'third' has a pragma in it that may hold for what follows"},
      {"const Registrar r = make(1);\n", "variable 'r' would be there once per part"},
      {"struct Counter { int n; } counter;\n", "variable 'counter' would be there once per part"},
      {"__attribute__((constant)) int table[4];\n", "variable 'table' lives on the device"},
      {"static __attribute__((device)) int counter = 0;\n",
       "variable 'counter' lives on the device"},
      {"__attribute__((managed)) int shared_with_host;\n",
       "variable 'shared_with_host' lives on the device"},
      {"__attribute__((global)) void plain(int* p) { *p = 1; }\n", "kernel 'plain' is no template"},
      {"template <> __attribute__((global)) void k<7>(int* p) { *p = 7; }\n",
       "kernel 'k' is no template"},
      {"template <int N> static __attribute__((global)) void mine(int* p) { *p = N; }\n",
       "kernel 'mine' is static"},
      {"static void third(int* p) { k<4><<<1, 1>>>(p); }\n",
       "'third' is static: each part would make its own of it"},
      {"static __attribute__((host)) __attribute__((device)) int both(int x) { return x; }\n",
       "'both' is static: each part would make its own of it"},
      {"static int& mode() { static int m = 0; return m; }\n",
       "'mode' is static: each part would make its own of it"},
      {"template <class T> static int width(T t) { static int v = 1; return v; }\n",
       "'width' is static: each part would make its own of it"},
      {"template <class T> static int width = 128;\n",
       "variable 'width' would be there once per part"},
      {"inline __attribute__((device)) int count() { static int c; return ++c; }\n",
       "'count' has a static variable on the device"},
      {"struct S { int next() { static int c; return ++c; } };\n",
       "a function in 'S' has a static variable"},
      {"__attribute__((device)) int plus(int x) { return x + 1; }\n",
       "'plus' cannot be declared without its body"},
      {"const Reg r = \"x\";\n", "variable 'r' would be there once per part"},
      {"const Reg r = Reg{1};\n", "variable 'r' would be there once per part"},
      {"const int n = counter++;\n", "variable 'n' would be there once per part"},
      {"const int n[] = {f()};\n", "variable 'n' would be there once per part"},
      {"namespace __attribute__((visibility(\"hidden\"))) { struct Mine {}; }\n",
       "it has an unnamed namespace"},
      {"static __attribute__((__constructor__)) void load() {}\n",
       "'load' is static: each part would make its own of it"},
      {"inline __attribute__((__constructor__)) void load() {}\n",
       "it says '__constructor__', which may act once per part"},
      {"struct S { [[gnu::constructor]] static void load() {} };\n",
       "it says 'constructor', which may act once per part"},
      {"__attribute__((section(\"versions\"), used)) constexpr int v = 7;\n",
       "it says 'section', which may act once per part"},
      {"inline void hook() { asm(\".pushsection .init_array\"); }\n",
       "it says 'section', which may act once per part"},
      {"__asm(\".globl x\");\n", "it has assembler text of its own"},
      {"inline void third(int* p) { k<4><<<1, 1>>>(p); }\n",
       "'third' starts kernels and is inline"},
      {"auto third(int* p) { k<4><<<1, 1>>>(p); return 1; }\n",
       "'third' cannot be declared without its body"},
      {"void Op::third(int* p) { k<4><<<1, 1>>>(p); }\n",
       "'third' cannot be declared without its body"},
      {"Op::Op(int* p) : a{1}, b(2) { k<4><<<1, 1>>>(p); }\n",
       "'Op' cannot be declared without its body"},
      {"int operator+(X a, int* p) { k<4><<<1, 1>>>(p); return 1; }\n",
       "'int' cannot be declared without its body"},
      {"__attribute__((host)) __attribute__((device)) int both(int x) { return x; }\n",
       "'both' cannot be declared without its body"},
      {"template <> int spec<int>(int x) { return x; }\n",
       "'spec' cannot be declared without its body"},
      {"template void start<int>(int*);\n", "'start' is instantiated by name"},
      {"namespace { struct Mine {}; }\n", "it has an unnamed namespace"},
      {"asm(\".globl x\");\n", "it has assembler text of its own"},
      {"int f() { return 1; }}\n", "its braces do not match"},
      {"void f() {\n", "its brackets do not match"},
  };
  for (const auto& [planted, reason] : cases) {
    CAPTURE(planted);
    CHECK(refusal_of(planted) == reason);
  }
  CHECK(refusal_of("", "void third(int* p) { first(p); k<4><<<1, 1>>>(p); }\n") ==
        "'first' is used by another function");
  CHECK(refusal_of("", "using Start = void (*)(int*); inline Start all[] = {second};\n") ==
        "'second' is used by another function");
}

TEST_CASE("braces in strings, raw strings and characters are text") {
  const std::string odd =
      "void third(int* p) { const char* a = R\"x(}\n)\" { )x\"; char b = '{'; const char* c = "
      "\"\\\"}{\"; int n = 1'000; k<4><<<1, 1>>>(p); }\n";
  const auto found = launchers_of(odd);
  CHECK(found.refusal == "");
  CHECK(names_of(found) == std::vector<std::string>{"third", "first", "second"});
}

TEST_CASE("a macro that makes two functions makes two launchers") {
  const auto found = launchers_of(
      "void a(int* p) { k<4><<<1, 1>>>(p); } void b(int* p) { "
      "k<5><<<1, 1>>>(p); }\n");
  CHECK(found.refusal == "");
  CHECK(names_of(found) == std::vector<std::string>{"a", "b", "first", "second"});
}

TEST_CASE("a part has the bodies of its own launchers, and what follows keeps its line") {
  const std::string text =
      "# 7 \"/tree/a.cu\"\nvoid first(int* p) {\n  k<1><<<1, 1>>>(p);\n}  int after;\n"
      "void second(int* p) { k<2><<<1, 1>>>(p);\n# 20 \"/tree/a.cu\"\n ; }\nvoid end();\n";
  const auto found = find_launchers(text, [](std::string_view) { return true; });
  REQUIRE(found.launchers.size() == 2);
  CHECK(with_bodies_of(text, found.launchers, {0, 1}) == text);
  CHECK(with_bodies_of(text, found.launchers, {1}) ==
        "# 7 \"/tree/a.cu\"\nvoid first(int* p) ;\n# 9 \"/tree/a.cu\"\n  int after;\n"
        "void second(int* p) { k<2><<<1, 1>>>(p);\n# 20 \"/tree/a.cu\"\n ; }\nvoid end();\n");
  CHECK(with_bodies_of(text, found.launchers, {0}) ==
        "# 7 \"/tree/a.cu\"\nvoid first(int* p) {\n  k<1><<<1, 1>>>(p);\n}  int after;\n"
        "void second(int* p) ;\n# 20 \"/tree/a.cu\"\n\nvoid end();\n");
}

TEST_CASE("how many parts there are is decided by the content alone") {
  const auto with = [](std::vector<std::size_t> launches) {
    std::vector<Launcher> launchers;
    for (const std::size_t count : launches) {
      Launcher launcher;
      launcher.launches = count;
      launchers.push_back(launcher);
    }
    return launchers;
  };
  using Parts = std::vector<std::vector<std::size_t>>;
  CHECK(parts_of(with({32, 32, 32, 32}), 4) == Parts{{0}, {1}, {2}, {3}});
  CHECK(parts_of(with({32, 32, 32, 32}), 2) == Parts{{0, 1}, {2, 3}});
  CHECK(parts_of(with({32, 32, 32, 32}), 1).empty());
  CHECK(parts_of(with({32}), 4).empty());
  CHECK(parts_of(with({}), 4).empty());
  CHECK(parts_of(with({8, 8, 8, 8, 8}), 2) == Parts{{0, 1, 2}, {3, 4}});
  CHECK(parts_of(with({1, 1, 1, 100}), 4) == Parts{{0}, {1}, {2}, {3}});
  CHECK(parts_of(with({100, 1, 0, 1, 0}), 3) == Parts{{0, 2, 4}, {1}, {3}});
}

TEST_CASE("nothing may be in two parts") {
  const auto part = [](std::string kernel, std::string function, std::string variable,
                       std::string data) {
    return PartContent{
        {std::move(kernel)}, {std::move(function)}, {std::move(variable)}, {std::move(data)}};
  };
  const PartContent one = part("k1", "f1", "v1", "d1");
  CHECK(what_is_twice({one, part("k2", "f2", "v2", "d2")}) == "");
  CHECK(what_is_twice({one, part("k1", "f2", "v2", "d2")}) == "kernel 'k1' is in two parts");
  CHECK(what_is_twice({one, part("k2", "f1", "v2", "d2")}) ==
        "device function 'f1' is in two parts");
  CHECK(what_is_twice({one, part("k2", "f2", "v1", "d2")}) ==
        "device variable 'v1' is in two parts");
  CHECK(what_is_twice({one, part("k2", "f2", "v2", "d1")}) == "variable 'd1' is in two parts");
}

TEST_CASE("functions that a PTX module defines are told from those that it declares") {
  const std::string ptx =
      ".extern .func  (.param .b32 func_retval0) vprintf\n(\n);\n"
      ".func  (.param .b32 func_retval0) _ZL1ffID7(\n.visible .func _Z1gv()\n"
      ".visible .entry k(\n";
  CHECK(module_functions(ptx, "ID7") == std::vector<std::string>{"_ZL1ff", "_Z1gv"});
}

TEST_CASE("a PTX module's variables are told from the compiler's own strings") {
  const std::string ptx =
      ".visible .global .align 4 .u32 counter;\n.const .align 4 .b8 table_ID7[16];\n"
      ".global .align 1 .b8 $str[4] = {1, 2};\n.global .align 4 .u32 unused;\n"
      ".visible .entry k() { use counter; use table_ID7; use $str; }\n";
  CHECK(module_variables(ptx, "ID7") == std::vector<std::string>{"counter", "table_"});
}

}  // namespace
}  // namespace sagebuild
