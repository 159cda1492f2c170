#include "sagebuild/nvcc/text.hpp"

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
  CHECK(with_mapped_markers("# 1 \"/t\\\\q/\\\"x y/a.cu\" 1 3\nint a; // \"/tmp\"\n# 3\n", roots) ==
        "# 1 \"/sagebuild/tree/a.cu\" 1 3\nint a; // \"/tmp\"\n# 3\n");
  CHECK(with_mapped_markers("#define X \"/t\\\\q/\"\nno newline", roots) ==
        "#define X \"/t\\\\q/\"\nno newline");
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
    CHECK(with_mapped_markers(marker, {{"tree", "/work/p"}}) == marker);
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
