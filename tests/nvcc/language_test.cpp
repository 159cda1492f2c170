// What CUDA sources hold, through the engine with our headers and through plain nvcc with full
// ones: per kernel the same instructions, and the same symbols outside.
#include <array>
#include <regex>
#include <set>

#include "sagebuild/nvcc/arguments.hpp"
#include "sagebuild/nvcc/compile.hpp"
#include "support/catch.hpp"
#include "support/elf_sections.hpp"
#include "support/nvcc_world.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

constexpr CompileMode kTakenApart{HeaderMode::facade, HeaderMode::facade, false};

struct Compiled {
  // By e_flags (the architecture) and section of the cubin
  std::map<std::string, std::string> code;
  std::set<std::string> exported, undefined;
};

// The module id is all that must differ: nvcc makes it of the source's place, we of its name in the
// project.
std::string without_id(const std::string& name, const std::string& id) {
  if (name.find(id) == std::string::npos) return name;
  const std::string marked = replaced(name, id, "<id>");
  return std::regex_replace(
      marked, std::regex("[0-9]*(_GLOBAL__N_<id>|_INTERNAL_<id>|__device_stub__)"), "$1");
}

void add_cubin(Compiled& result, const fs::path& cubin, const std::string& id) {
  const auto arch = elf_value<Elf64_Ehdr>(read_file(cubin), 0).e_flags;
  for (const auto& [name, content] : elf_sections(cubin))
    for (const std::string_view kind : {".text.", ".nv.constant", ".nv.shared.", ".nv.global"})
      if (name.starts_with(kind))
        result.code[fmt::format("{:x} {}", arch, without_id(name, id))] = content;
}

// What host code asks of torch, or of the bridge in its place, and how either reports errors.
bool is_of_launchers(const std::string& name) {
  constexpr std::array<std::string_view, 6> kParts = {
      "sagebuild_bridge", "2at6Tensor", "_ZNSt", "_ZTISt", "__cxa_", "_GLOBAL_OFFSET_TABLE_"};
  return std::ranges::any_of(kParts,
                             [&](auto part) { return name.find(part) != std::string::npos; });
}

void add_symbols(Compiled& result, const fs::path& object, const std::string& id) {
  const std::string listing =
      run_checked({{"nm", "--format=posix", "--extern-only", object}}, "nm").output;
  for (const auto line : lines_of(listing)) {
    const auto words = split(line, " ");
    const auto name = without_id(std::string(words.at(0)), id);
    if (name == "fatbin<id>") continue;  // the detached image, hidden
    const bool undefined = words.at(1) == "U" || words.at(1) == "w";
    if (undefined && is_of_launchers(name)) continue;
    (undefined ? result.undefined : result.exported).insert(name);
  }
}

Compiled ours(NvccWorld& world, const std::string& name) {
  world.compile(name);
  REQUIRE(world.outcomes.back().mode == kTakenApart);
  Compiled result;
  const std::string stem = fs::path(name).stem();
  const fs::path text = world.find_private(stem + ".module_id");
  const std::string id = read_file(text);
  const fs::path folder = text.parent_path().parent_path();  // of all steps
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".cubin") add_cubin(result, entry.path(), id);
  add_symbols(result, world.source(name).recorded.object, id);
  return result;
}

struct PlainRun {
  TempDir folder{"plain-nvcc"};
  Compiled compiled;
  fs::path object = folder.path() / "whole.o";
  std::string id;

  PlainRun(const NvccWorld& world, const std::string& name) {
    const auto source = world.source(name);
    Command command{source.recorded.argv, source.recorded.cwd};
    for (const auto& option : gencode_options(source.targets)) command.argv.push_back(option);
    command.argv.insert(command.argv.end(),
                        {"-std=" + source.cxx_standard, "--keep", "--keep-dir", folder.path(), "-c",
                         source.recorded.source, "-o", object});
    run_checked(command, "plain nvcc");
    id = read_file(folder.path() / (fs::path(name).stem().string() + ".module_id"));
    for (const auto& entry : fs::directory_iterator(folder.path()))
      if (entry.path().extension() == ".cubin") add_cubin(compiled, entry.path(), id);
    add_symbols(compiled, object, id);
  }
};

// Names first, so that a failure says which kernel. `other` is the one section that may have other
// bytes.
void check_same(const Compiled& ours, const Compiled& plain, std::string_view other = "none") {
  std::vector<std::string> here, there, differ;
  for (const auto& [name, content] : ours.code) here.push_back(name);
  for (const auto& [name, content] : plain.code) {
    there.push_back(name);
    const auto found = ours.code.find(name);
    if (found != ours.code.end() && found->second != content && !name.ends_with(other))
      differ.push_back(name);
  }
  CHECK(here == there);
  CHECK(differ == std::vector<std::string>{});
  CHECK(ours.exported == plain.exported);
  CHECK(ours.undefined == plain.undefined);
}

const std::string kTorch = "#include <torch/extension.h>\n";

struct Case {
  std::string what, text, kernel;  // `kernel` must be among the compared
};

const std::vector<Case> kCases = {
    {"static kernel and static device variable",
     "static __device__ int counter = 3;\nstatic __global__ void bump(int* p) { "
     "atomicAdd(&counter, 1); *p = counter; "
     "}\n"
     "void f(int* p) { bump<<<1, 1>>>(p); cudaMemcpyFromSymbol(p, counter, 4); }\n",
     "bump"},
    {"anonymous namespaces, nested and with a template",
     "namespace { __device__ float scale = 2; __global__ void hidden(float* p) { *p *= scale; }\n"
     "template <int N> __global__ void many(float* p) { p[N] = scale; } }\n"
     "namespace outer { namespace { __global__ void inner(float* p) { *p = N_VALUE; } } }\n"
     "void f(float* p) { hidden<<<1, 1>>>(p); many<2><<<1, 1>>>(p); outer::inner<<<1, 1>>>(p);\n"
     "  cudaMemcpyToSymbol(scale, p, 4); }\n",
     "hidden"},
    {"constant symbols, filled by cudaMemcpyToSymbol",
     "__constant__ float table[64]; static __constant__ int offset; namespace ns { __constant__ "
     "double other[2]; }\n"
     "__global__ void look(float* p) { p[threadIdx.x] = table[threadIdx.x + offset] + "
     "ns::other[1]; }\n"
     "void f(float* p, const float* host) { cudaMemcpyToSymbol(table, host, sizeof table);\n"
     "  cudaMemcpyToSymbol(offset, host, 4); cudaMemcpyToSymbol(ns::other, host, 16); look<<<1, "
     "64>>>(p); }\n",
     "look"},
    {"printf and shared memory",
     "#include <cstdio>\n"
     "__global__ void talk(int* p) { extern __shared__ int fast[]; __shared__ int own[8]; "
     "own[threadIdx.x] = "
     "fast[*p];\n"
     "  __syncthreads(); printf(\"thread %d has %d\\n\", threadIdx.x, own[*p & 7]); }\n"
     "void f(int* p) { talk<<<1, 8, 64>>>(p); }\n",
     "talk"},
    {"by-value structs, launch bounds, a device function pointer, and torch's names in the host "
     "part",
     "struct Args { int a; float b[3]; };\n__device__ __noinline__ float twice(float x) { return 2 "
     "* x; }\n"
     "__device__ float (*function)(float) = twice;\n"
     "__global__ void __launch_bounds__(128, 2) take(float* p, Args args) { p[args.a] = "
     "function(args.b[1]); }\n"
     "void f(torch::Tensor t) { TORCH_CHECK(t.size(0) > 1, \"small\"); take<<<1, "
     "1>>>(static_cast<float*>(t.data_ptr()), "
     "Args{}); }\n",
     "take"},
    {"bf16 and half arithmetic",
     "#include <cuda_bf16.h>\n#include <cuda_fp16.h>\n"
     "__global__ void add(__half2* p, __nv_bfloat16* q) { *p = __hfma2(p[0], p[1], p[2]); q[0] = "
     "q[0] + q[1]; }\n"
     "void f(void* p) { add<<<1, 1>>>(static_cast<__half2*>(p), static_cast<__nv_bfloat16*>(p)); "
     "}\n",
     "add"},
};

TEST_CASE("each kind of device symbol gives nvcc's own code and symbols") {
  NEEDS_NVCC();
  for (const auto& one : kCases) {
    DYNAMIC_SECTION(one.what) {
      NvccWorld world;
      world.put(world.tree() / "a.cu", kTorch + "#define N_VALUE 7\n" + one.text);
      const Compiled here = ours(world, "a.cu");
      CHECK(std::ranges::any_of(here.code, [&](const auto& code) {
        return code.first.find(".text.") != std::string::npos &&
               code.first.find(one.kernel) != std::string::npos;
      }));
      check_same(here, PlainRun(world, "a.cu").compiled);
    }
  }
}

TEST_CASE(
    "assert in a kernel names the source by its place in the project, and that alone differs") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu",
            kTorch +
                "#include <cassert>\n__global__ void k(int* p) { assert(*p > 0); *p = 1; }\n"
                "void f(int* p) { k<<<1, 1>>>(p); }\n");
  const Compiled here = ours(world, "a.cu");
  check_same(here, PlainRun(world, "a.cu").compiled, " .nv.global.init");
  const auto text = std::ranges::find_if(
      here.code, [](const auto& one) { return one.first.ends_with(".global.init"); });
  REQUIRE(text != here.code.end());
  CHECK(text->second.find("/sagebuild/tree/a.cu") != std::string::npos);
}

TEST_CASE(
    "templates of one header, instantiated in two sources for two architectures, are nvcc's and "
    "link") {
  NEEDS_NVCC();
  NvccWorld world;
  world.targets.push_back({Arch{12, 0}, Arch{12, 0}, true, true, ""});
  world.put(
      world.tree() / "fill.cuh",
      "#pragma once\ntemplate <class T> __device__ T seven = T(7);\n"
      "template <class T, int N> __global__ void fill(T* p) { p[threadIdx.x] = seven<T> + N; }\n"
      "template <class T> void launch_fill(void* p) { fill<T, 3><<<1, 32>>>(static_cast<T*>(p)); "
      "}\n");
  const std::string start = kTorch + "#include \"fill.cuh\"\n";
  world.put(world.tree() / "one.cu",
            start + "void one(void* p) { launch_fill<float>(p); launch_fill<int>(p); }\n");
  world.put(world.tree() / "two.cu",
            start + "void two(void* p) { launch_fill<float>(p); launch_fill<double>(p); }\n");
  for (const std::string name : {"one.cu", "two.cu"}) {
    INFO(name);
    const Compiled here = ours(world, name);
    check_same(here, PlainRun(world, name).compiled);
  }
  const fs::path both = world.tree() / "both.so";
  run_checked({{"g++", "-shared", "-fPIC", world.source("one.cu").recorded.object,
                world.source("two.cu").recorded.object, "-o", both}},
              "cannot link both");
  const std::string symbols = run_checked({{"nm", "-C", "--defined-only", both}}, "nm").output;
  for (const std::string kernel : {"fill<float, 3>", "fill<int, 3>", "fill<double, 3>"})
    CHECK_THAT(symbols, Catch::Contains(" void " + kernel + "("));
}

const std::string kSmall =
    kTorch +
    "static __device__ int step = 1;\nnamespace { __global__ void k(int* p) { *p += step; } }\n"
    "void f(torch::Tensor t) { k<<<1, 1>>>(static_cast<int*>(t.data_ptr())); }\n";

TEST_CASE("-lineinfo: the same instructions, and the lines of the source for each of them") {
  NEEDS_NVCC();
  NvccWorld world;
  world.flags = {"-O1", "-lineinfo"};
  world.put(world.tree() / "a.cu", kSmall);
  const Compiled here = ours(world, "a.cu");
  check_same(here, PlainRun(world, "a.cu").compiled);
  for (const auto& [name, content] : elf_sections(world.find_private("a.sm_89.cubin")))
    if (name == ".debug_line") CHECK(content.find("a.cu") != std::string::npos);
  CHECK(elf_sections(world.find_private("a.sm_89.cubin")).contains(".debug_line"));
}

// The images of an object that nvcc wrote with -no-compress: they lie in one section, in one piece
// each.
void add_images(Compiled& result, const fs::path& object, const std::string& section,
                const std::string& id) {
  const TempDir folder("images");
  for (const auto& [name, content] : elf_sections(object)) {
    if (name != section) continue;
    for (auto at = content.find(ELFMAG); at != std::string::npos;
         at = content.find(ELFMAG, at + 1)) {
      write_file(folder.path() / "x.cubin", std::string_view(content).substr(at));
      add_cubin(result, folder.path() / "x.cubin", id);
    }
  }
}

TEST_CASE("what is not taken apart is nvcc's own object, and it is said why") {
  NEEDS_NVCC();
  NvccWorld world;
  world.put(world.tree() / "a.cu", kSmall);
  const auto check = [&](const std::string& option, const std::string& section,
                         const std::string& reason) {
    world.flags = {"-O1", "-no-compress", option};
    world.compile("a.cu");
    CHECK(world.outcomes.back().mode == CompileMode{HeaderMode::full, HeaderMode::full, true});
    CHECK_THAT(world.outcomes.back().reason, Catch::Contains(reason));
    CHECK(RecordingReporter::any_has(world.reporter.notes, reason));

    const PlainRun plain(world, "a.cu");
    Compiled here;
    const fs::path object = world.source("a.cu").recorded.object;
    add_symbols(here, object, plain.id);  // the id is of the source's place, which is the same
    add_images(here, object, section, plain.id);
    CHECK(std::ranges::any_of(here.code,
                              [](const auto& one) { return one.first.ends_with("1kEPi"); }));
    check_same(here, plain.compiled);
  };
  SECTION("-rdc=true") { check("-rdc=true", "__nv_relfatbin", "relocatable device code"); }
  SECTION("-G") { check("-G", ".nv_fatbin", "'-G' changes the shape"); }
}

TEST_CASE("two sources of one name in two modules, compiled in one build, are not mixed up") {
  NEEDS_NVCC();
  NvccWorld world;
  const std::string text =
      "namespace { __global__ void k(int* p) { *p = 1; } }\nvoid FUNCTION(int* p) { k<<<1, "
      "1>>>(p); }\n";
  StepRunner runner(*world.cache);
  const auto settings = world.settings();
  for (const std::string folder : {"one", "two"}) {
    world.put(world.tree() / folder / "k.cu", "#define FUNCTION " + folder + "\n" + text);
    runner.run(compile_step(world.source(folder + "/k.cu"), "mini._" + folder, settings));
  }
  // The same file in both is compiled for each: an id must be one module's.
  for (const std::string module : {"mini._one", "mini._two"}) {
    auto source = world.source("one/k.cu");
    source.recorded.object = world.tree() / "build" / (module + ".o");
    runner.run(compile_step(source, module, settings));
  }
  const auto has = [](const fs::path& object, std::string_view text_there) {
    return read_file(object).find(text_there) != std::string::npos;
  };
  CHECK(has(world.source("one/k.cu").recorded.object, "_Z3onePi"));
  CHECK_FALSE(has(world.source("one/k.cu").recorded.object, "_Z3twoPi"));
  CHECK(has(world.source("two/k.cu").recorded.object, "_Z3twoPi"));
  const fs::path first = world.tree() / "build/mini._one.o",
                 second = world.tree() / "build/mini._two.o";
  CHECK(has(first, module_id("one/k.cu", "minisage", "mini._one")));
  CHECK(has(second, module_id("one/k.cu", "minisage", "mini._two")));
  CHECK(read_file(first) == read_file(world.source("one/k.cu").recorded.object));
}

}  // namespace
}  // namespace sagebuild
