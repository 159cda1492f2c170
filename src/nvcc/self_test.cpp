#include "self_test.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sagebuild/base/error.hpp"
#include "sagebuild/nvcc/layout.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Everything that was found to depend on names, ids or order (docs/nvcc.md, "The self-test").
constexpr std::string_view kTestSource = R"(struct Pair { int a; float b; };
namespace { __global__ void hidden(int* p) { *p = 2; } }
static __device__ int counter;
__constant__ int table[4];
static __global__ void local(int* p) { *p = counter + table[1]; }
template <class T, int N> __global__ void general(T* p, Pair q) { *p = T(N + q.a); }
__global__ void plain(int* p) { *p = 1; }
void launch(int* p) {
  plain<<<1, 1>>>(p);
  hidden<<<1, 1>>>(p);
  local<<<1, 1>>>(p);
  general<int, 3><<<1, 1>>>(p, Pair{});
  cudaMemcpyToSymbol(counter, p, 4);
}
)";
constexpr std::string_view kOurId = "_5a9ebd1d_7_self_cu_00000000";

bool is_full_disk(const Error& failure) {
  return std::ranges::any_of(failure.causes, [](const auto& cause) {
    return cause.find(errno_text(ENOSPC)) != std::string::npos;
  });
}

// A full disk is no fault of the toolkit's, whichever of its tools meets it: they write below
// $TMPDIR.
Error without_blame(Error failure) {
  if (!is_full_disk(failure)) return failure;
  const std::string folder = environment_value("TMPDIR").value_or("/tmp");
  return Error(
      failure.kind, fmt::format("cannot write below '{}'", folder), {errno_text(ENOSPC)},
      fmt::format(
          "the disk that holds '{}' is full: free some space, or set TMPDIR to another folder",
          folder));
}

struct Bench {
  fs::path folder;
  std::string path;

  void run(const Words& argv, const fs::path& where) const {
    Command command;
    command.argv = argv;
    command.cwd = where;
    if (!path.empty()) command.env["PATH"] = path;
    try {
      run_checked(command, fmt::format("the toolkit's self-test failed at '{}'",
                                       fs::path(argv.front()).filename().string()));
    } catch (Error& error) {
      error.hint = "run 'sagebuild doctor' to see what the CUDA toolkit lacks";
      throw without_blame(std::move(error));
    }
  }
};

Words with_output(Words argv, const fs::path& output) {
  argv.insert(argv.end(), {"-o", output.string()});
  return argv;
}

void write_ids(const Bench& bench, const Layout& layout, std::string_view id) {
  write_file(bench.folder / layout.module_id_file, id);
  for (const auto& pass : layout.passes) {
    make_folders(bench.folder / pass.arch);
    write_file(bench.folder / pass.arch / layout.module_id_file, id);
  }
}

void run_decomposed(const Bench& bench, const Layout& layout, const fs::path& sources) {
  const auto& pass = layout.passes.front();
  const fs::path inner = bench.folder / pass.arch;
  bench.run(with_output(layout.host_preprocess, bench.folder / layout.host_text), sources);
  bench.run(layout.cudafe, bench.folder);
  bench.run(with_output(pass.preprocess, inner / pass.text), sources);
  bench.run(pass.cicc, inner);
  for (const auto& real : pass.real) bench.run(real.argv, inner);
  bench.run(layout.fatbinary, bench.folder);
  copy_content(inner / pass.stub, bench.folder / pass.stub);
  bench.run(layout.host_compile, bench.folder);
}

// Looks at the texts that nvcc wrote, and tries again with our own id.
void test_details(Toolkit& toolkit, const Bench& bench, const Layout& layout) {
  const auto& pass = layout.passes.front();
  const fs::path inner = bench.folder / pass.arch;
  if (!knows_fatbin_text(read_file(bench.folder / layout.fatbin_c)))
    toolkit.detach_off = "this toolkit writes its images in another form";
  std::string host = read_file(bench.folder / layout.cudafe_text);
  const auto kernels = template_kernels(host);
  if (kernels == 0 || mark_missing_kernels(host) != kernels)
    toolkit.kernel_check_off = "this toolkit gives template kernels another body";

  write_ids(bench, layout, kOurId);
  bench.run(layout.cudafe, bench.folder);
  bench.run(pass.cicc, inner);
  for (const auto& file : {bench.folder / layout.cudafe_text, inner / pass.stub, inner / pass.ptx})
    if (read_file(file).find(kOurId) == std::string::npos)
      toolkit.decompose_off =
          fmt::format("a given module id is not in '{}'", file.filename().string());
}

// nvcc itself compiles what its steps as they are known here do not: then it does it all.
void test_parts(Toolkit& toolkit, const Bench& parts, const Layout& layout, const fs::path& sources,
                const fs::path& plain) {
  try {
    write_ids(parts, layout, read_file(plain / layout.module_id_file));
    run_decomposed(parts, layout, sources);
    if (read_file(parts.folder / layout.object) != read_file(plain / "whole.o"))
      toolkit.decompose_off = "the object made step by step differs from nvcc's";
    test_details(toolkit, parts, layout);
  } catch (const Error& error) {
    if (is_full_disk(error)) throw;
    toolkit.decompose_off = error.message;
  }
}

void self_test(Toolkit& toolkit, const Words& nvcc) {
  TempDir folder("sagebuild-selftest");
  folder.sweep_if_killed();
  const fs::path sources = folder.path() / "sources";
  const Bench plain{folder.path() / "plain", ""};
  for (const auto& path : {sources, plain.folder, folder.path() / "parts"}) make_folders(path);
  write_file(sources / "self.cu", kTestSource);

  Words argv = nvcc;
  argv.insert(argv.end(),
              {"-O3", "-std=c++17", "-gencode=arch=compute_80,code=[sm_80,sm_86,compute_80]"});
  const auto [run, reason, programs] = dry_run(argv, "self.cu", sources);
  const auto layout = run ? canonical_layout(*run) : LayoutOutcome{{}, reason};
  if (!layout.reason.empty()) {
    toolkit.decompose_off = layout.reason;
    return;
  }
  Words whole = argv;
  whole.insert(whole.end(), {"--keep", "--keep-dir", plain.folder, "-c", "self.cu", "-o",
                             plain.folder / "whole.o"});
  plain.run(whole, sources);

  test_parts(toolkit, {folder.path() / "parts", layout.layout.path}, layout.layout, sources,
             plain.folder);
}

}  // namespace

void test_toolkit(Toolkit& toolkit, const Words& nvcc, ActionCache& cache, Reporter& reporter) {
  ActionKey key("toolkit", toolkit.toolchain.nvcc_build);
  key.add("self-test", kTestSource).add("nvcc options", Words(nvcc.begin() + 1, nvcc.end()));
  for (const auto& [name, digest] : toolkit.tools) key.add(name, digest);
  key.add("runtime headers", toolkit.runtime_headers);
  auto known = cache.lookup(key);
  if (!known) {
    reporter.detail(fmt::format("self-test of CUDA {}", toolkit.toolchain.nvcc_build));
    self_test(toolkit, nvcc);
    ActionResult result;
    result.facts = {{"decompose", toolkit.decompose_off},
                    {"kernel check", toolkit.kernel_check_off},
                    {"detach", toolkit.detach_off}};
    cache.store(key, {}, result);
  } else {
    toolkit.decompose_off = known->facts["decompose"];
    toolkit.kernel_check_off = known->facts["kernel check"];
    toolkit.detach_off = known->facts["detach"];
  }
  for (const auto& problem : {toolkit.decompose_off, toolkit.kernel_check_off, toolkit.detach_off})
    if (!problem.empty())
      reporter.warning(fmt::format("CUDA {}: {}", toolkit.toolchain.nvcc_build, problem));
}

}  // namespace sagebuild
