// One test for each input of each key: changing it alone changes the key, and changing anything
// else does not.
#include "sagebuild/nvcc/keys.hpp"

#include <functional>

#include "support/catch.hpp"

namespace sagebuild {
namespace {

const Digest kTool = sha256("tool");
const Digest kOther = sha256("other");

// Everything a key function takes, changed one at a time.
struct Inputs {
  std::string subject = "_ops ops.cu";
  Digest tool = kTool;
  Digest headers = sha256("headers");
  Words argv;
  std::string id = "_1_6_ops_cu_2";
  std::string text = "# 1 \"/sagebuild/tree/a.cu\"\nint a;\n";
  std::string stub = "# 1 \"k.stub.c\"\nstatic void s();\n";
  Digest content = sha256("content");
  std::vector<Image> images = {{"elf", "89", sha256("a")}, {"ptx", "120", sha256("b")}};
};

using KeyOf = std::function<Digest(const Inputs&)>;
using Change = std::pair<std::string, std::function<void(Inputs&)>>;

void expect(const KeyOf& key, const Inputs& start, const std::vector<Change>& changes,
            bool differs) {
  for (const auto& [what, change] : changes) {
    CAPTURE(what);
    Inputs changed = start;
    change(changed);
    CHECK((key(changed) != key(start)) == differs);
  }
}

Change word(const std::string& from, const std::string& to) {
  return {from + " -> " + to, [=](Inputs& in) {
            const auto at = std::ranges::find(in.argv, from);
            REQUIRE(at != in.argv.end());
            *at = to;
          }};
}

const Change kTool2 = {"tool", [](Inputs& in) { in.tool = kOther; }};
const Change kId2 = {"module id", [](Inputs& in) { in.id = "_9_6_ops_cu_2"; }};
const Change kToken = {"a token of the text",
                       [](Inputs& in) { in.text = "# 1 \"/sagebuild/tree/a.cu\"\nint b;\n"; }};
const Change kMarkers = {"line markers",
                         [](Inputs& in) { in.text = "# 7 \"/sagebuild/tree/b.cu\"\n\nint a;\n"; }};
const Change kSubject = {"subject", [](Inputs& in) { in.subject = "other"; }};

TEST_CASE("key of cicc") {
  const KeyOf key = [](const Inputs& in) {
    return cicc_key(in.subject, in.tool, in.argv, in.id, in.text).digest();
  };
  Inputs in;
  in.argv = {"/cuda/cicc",
             "--c++17",
             "--gnu_version=120200",
             "--orig_src_file_name",
             "a.cu",
             "--orig_src_path_name",
             "/tree/a.cu",
             "-arch",
             "compute_89",
             "-ftz=0",
             "--include_file_name",
             "a.fatbin.c",
             "--stub_file_name",
             "a.stub.c",
             "a.cpp1.ii",
             "-o",
             "a.ptx"};
  expect(key, in,
         {kTool2,
          kId2,
          kToken,
          word("compute_89", "compute_90"),
          word("-ftz=0", "-ftz=1"),
          word("--c++17", "--c++20"),
          word("--gnu_version=120200", "--gnu_version=130000"),
          word("a.fatbin.c", "b.fatbin.c"),
          word("a.stub.c", "b.stub.c"),
          {"split compile",
           [](Inputs& i) {
             i.argv.insert(i.argv.begin() + 1, {"-split-compile", "4"});
           }}},
         true);
  expect(key, in,
         {kSubject, kMarkers, word("/tree/a.cu", "/elsewhere/a.cu"), word("a.cu", "b.cu"),
          word("a.ptx", "b.ptx"), word("/cuda/cicc", "/other/cicc")},
         false);
}

TEST_CASE("key of cicc with line information: places count, as they stand in the PTX") {
  const KeyOf key = [](const Inputs& in) {
    return cicc_key(in.subject, in.tool, in.argv, in.id, in.text).digest();
  };
  Inputs in;
  in.argv = {"cicc", "--orig_src_path_name", "/sagebuild/tree/a.cu", "-generate-line-info", "-o",
             "a.ptx"};
  expect(key, in, {kMarkers, word("/sagebuild/tree/a.cu", "/sagebuild/tree/b.cu")}, true);
}

TEST_CASE("key of ptxas") {
  const KeyOf key = [](const Inputs& in) {
    return ptxas_key(in.subject, in.tool, {"sm_89", in.argv, "a.cubin"}, "a.ptx", in.content)
        .digest();
  };
  Inputs in;
  in.argv = {"ptxas", "-arch=sm_89", "-m64", "-O3", "a.ptx", "-o", "a.cubin"};
  expect(key, in,
         {kTool2,
          word("-arch=sm_89", "-arch=sm_90"),
          word("-O3", "-O2"),
          {"PTX", [](Inputs& i) { i.content = kOther; }},
          {"split compile", [](Inputs& i) { i.argv.push_back("--split-compile=4"); }}},
         true);
  expect(key, in,
         {kSubject, kId2, kToken, word("a.cubin", "b.cubin"), word("ptxas", "/cuda/ptxas")}, false);
}

TEST_CASE("key of cudafe++") {
  const KeyOf key = [](const Inputs& in) {
    return cudafe_key(in.subject, in.tool, in.argv, in.id, in.text).digest();
  };
  Inputs in;
  in.argv = {"cudafe++",         "--c++17",  "--orig_src_path_name", "/tree/a.cu",
             "--stub_file_name", "a.stub.c", "--parse_templates"};
  expect(key, in, {kTool2, kId2, kToken, word("--c++17", "--c++20"), word("a.stub.c", "b.stub.c")},
         true);
  expect(key, in, {kSubject, kMarkers, word("/tree/a.cu", "/elsewhere/a.cu")}, false);
}

TEST_CASE("key of fatbinary") {
  const KeyOf key = [](const Inputs& in) {
    return fatbinary_key(in.subject, in.tool, in.argv, in.images).digest();
  };
  Inputs in;
  in.argv = {"fatbinary",
             "--create=a.fatbin",
             "-64",
             "--cicc-cmdline=-ftz=0 ",
             "--image3=kind=elf,sm=89,file=x/a.cubin",
             "--embedded-fatbin=a.fatbin.c"};
  expect(key, in,
         {kTool2,
          word("--cicc-cmdline=-ftz=0 ", "--cicc-cmdline=-ftz=1 "),
          {"an image", [](Inputs& i) { i.images[0].content = kOther; }},
          {"an image's kind", [](Inputs& i) { i.images[0].kind = "ptx"; }},
          {"an image's architecture", [](Inputs& i) { i.images[0].sm = "90"; }},
          {"the order", [](Inputs& i) { std::swap(i.images[0], i.images[1]); }},
          {"one image less", [](Inputs& i) { i.images.pop_back(); }}},
         true);
  expect(key, in,
         {kSubject, kId2, word("--create=a.fatbin", "--create=b.fatbin"),
          word("--image3=kind=elf,sm=89,file=x/a.cubin", "--image3=kind=elf,sm=89,file=y/a.cubin"),
          word("--embedded-fatbin=a.fatbin.c", "--embedded-fatbin=b.c")},
         false);
}

TEST_CASE("key of the host compile") {
  const KeyOf key = [](const Inputs& in) {
    return host_compile_key(in.subject, in.tool, in.argv, in.text, in.stub, in.content).digest();
  };
  Inputs in;
  in.text = "int a;\nvoid k() ;\n#if 0\n# 3\n{ body(); }\n#endif\n";
  in.argv = {"g++",           "-std=c++17",    "-c",    "-x",        "c++",
             "-DX=1",         "-O3",           "-fPIC", "-Iinclude", "-isystem",
             "/cuda/include", "a.cudafe1.cpp", "-o",    "a.o"};
  expect(key, in,
         {kTool2,
          word("-O3", "-O2"),
          word("-fPIC", "-fPIE"),
          word("-std=c++17", "-std=c++20"),
          word("-DX=1", "-DX=2"),
          {"host text", [](Inputs& i) { i.text.replace(0, 5, "int b"); }},
          {"stub", [](Inputs& i) { i.stub += "int more;\n"; }},
          {"image", [](Inputs& i) { i.content = kOther; }}},
         true);
  expect(
      key, in,
      {kSubject,
       kId2,
       word("-Iinclude", "-Iother"),
       word("/cuda/include", "/opt/include"),
       {"a device body",
        [](Inputs& i) { i.text = "int a;\nvoid k() ;\n#if 0\n# 3\n{ other(); }\n#endif\n"; }},
       {"places in the stub", [](Inputs& i) { i.stub = "# 9 \"k.stub.c\"\nstatic void s();\n"; }}},
      false);
}

TEST_CASE("with debug information places count on the host side too") {
  Inputs in;
  const KeyOf cxx = [](const Inputs& i) {
    return cxx_key(i.subject, i.tool, i.argv, i.text).digest();
  };
  const KeyOf host = [](const Inputs& i) {
    return host_compile_key(i.subject, i.tool, i.argv, i.text, i.stub, i.content).digest();
  };
  in.argv = {"g++", "-g", "-O3"};
  expect(cxx, in, {kMarkers}, true);
  expect(host, in, {kMarkers}, true);
}

TEST_CASE("key of a .cpp") {
  const KeyOf key = [](const Inputs& in) {
    return cxx_key(in.subject, in.tool, in.argv, in.text).digest();
  };
  Inputs in;
  in.argv = {"g++", "-O3", "-fPIC", "-Iinclude", "-DX", "a.ii"};
  expect(key, in, {kTool2, kToken, word("-O3", "-O2")}, true);
  expect(key, in,
         {kSubject, kId2, kMarkers, word("-Iinclude", "-Iother"), word("-DX", "-DY"),
          word("g++", "/usr/bin/g++")},
         false);
}

TEST_CASE("key of a whole compile: options alone, with paths by their fixed names") {
  const auto key_in = [](const std::string& tree) -> KeyOf {
    return [tree](const Inputs& in) {
      return direct_key(in.subject, "compile", in.tool, in.argv, in.id, {{"tree", tree}}).digest();
    };
  };
  Inputs in;
  in.argv = {"nvcc", "-I/a/tree/include", "-DX=1", "-O3"};
  expect(key_in("/a/tree"), in,
         {kTool2, kId2, word("-DX=1", "-DX=2"), word("-O3", "-O2"),
          word("-I/a/tree/include", "-I/a/tree/other")},
         true);
  expect(key_in("/a/tree"), in, {kSubject, word("nvcc", "/cuda/bin/nvcc")}, false);
  Inputs moved = in;
  moved.argv[1] = "-I/b/tree/include";
  CHECK(key_in("/a/tree")(in) == key_in("/b/tree")(moved));
}

}  // namespace
}  // namespace sagebuild
