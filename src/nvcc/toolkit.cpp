#include "sagebuild/nvcc/toolkit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/layout.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// Everything that facts section 6 found to depend on names, ids or order.
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

struct Bench {
  fs::path folder;
  std::string path;

  void run(const Words& argv, const fs::path& where) const {
    Command command;
    command.argv = argv;
    command.cwd = where;
    if (!path.empty()) command.env["PATH"] = path;
    run_checked(command,
                fmt::format("the toolkit's self-test failed at '{}'", fs::path(argv.front()).filename().string()));
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
  fs::copy_file(inner / pass.stub, bench.folder / pass.stub, fs::copy_options::overwrite_existing);
  bench.run(layout.host_compile, bench.folder);
}

// Tries again with our own id and with a split compile: what changes says what works.
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
      toolkit.decompose_off = fmt::format("a given module id is not in '{}'", file.filename().string());
}

void self_test(Toolkit& toolkit, const Words& nvcc) {
  TempDir folder("sagebuild-selftest");
  folder.sweep_if_killed();
  const fs::path sources = folder.path() / "sources";
  const Bench plain{folder.path() / "plain", ""};
  for (const auto& path : {sources, plain.folder, folder.path() / "parts"}) make_folders(path);
  write_file(sources / "self.cu", kTestSource);

  Words argv = nvcc;
  argv.insert(argv.end(), {"-O3", "-std=c++17", "-gencode=arch=compute_80,code=[sm_80,sm_86,compute_80]"});
  const auto [run, reason] = dry_run(argv, "self.cu", sources);
  const auto layout = run ? canonical_layout(*run) : LayoutOutcome{{}, reason};
  if (!layout.reason.empty()) {
    toolkit.decompose_off = layout.reason;
    return;
  }
  Words whole = argv;
  whole.insert(whole.end(), {"--keep", "--keep-dir", plain.folder, "-c", "self.cu", "-o", plain.folder / "whole.o"});
  plain.run(whole, sources);

  const Bench parts{folder.path() / "parts", layout.layout.path};
  write_ids(parts, layout.layout, read_file(plain.folder / layout.layout.module_id_file));
  run_decomposed(parts, layout.layout, sources);
  if (read_file(parts.folder / layout.layout.object) != read_file(plain.folder / "whole.o"))
    toolkit.decompose_off = "the object made step by step differs from nvcc's";
  test_details(toolkit, parts, layout.layout);
}

fs::path require_program(std::string_view name, const std::string& path_list) {
  if (name.find('/') != std::string_view::npos) return name;
  if (auto found = find_program(name, path_list)) return *found;
  throw Error(ErrorKind::environment, fmt::format("'{}' is not to be found", name), {},
              "run 'sagebuild doctor' to see what the CUDA toolkit lacks");
}

// What `-print-prog-name` and `-M` of the host compiler say.
std::string ask_host(const Words& argv, const std::string& path_list, std::string input = {}) {
  Command command;
  command.argv = argv;
  if (!path_list.empty()) command.env["PATH"] = path_list;
  command.input = std::move(input);
  return run_checked(command, fmt::format("cannot ask '{}'", argv.front())).output;
}

void find_tools(Toolkit& toolkit, const Words& nvcc, const DryRun& run, ActionCache& cache) {
  const std::string& path = run.path;
  auto& programs = toolkit.programs;
  programs["nvcc"] = require_program(nvcc.front(), path);
  programs["cudafe++"] = require_program(run.cudafe.front(), path);
  programs["cicc"] = require_program(run.passes.front().cicc.front(), path);
  programs["ptxas"] = require_program("ptxas", path);
  programs["fatbinary"] = require_program(run.fatbinary.front(), path);
  programs["ld"] = require_program("ld", path);
  const std::string driver = require_program(run.host_compile.front(), path);
  programs["host"] = driver;
  for (const auto& [name, program] : programs) toolkit.tools[name] = cache.file_digest(program);

  Sha256 host;
  host.field(toolkit.tools["host"].hex());
  for (const std::string part : {"cc1plus", "as"}) {
    const auto answer = ask_host({driver, "-print-prog-name=" + part}, path);
    host.field(cache.file_digest(require_program(trimmed(answer), path)).hex());
  }
  toolkit.tools["host"] = host.finish();

  Words includes = {driver, "-M", "-x", "c++"};
  for (std::size_t i = 0; i < run.host_compile.size(); ++i) {
    if (run.host_compile[i].starts_with("-I")) includes.push_back(run.host_compile[i]);
    if (run.host_compile[i] == "-isystem") includes.insert(includes.end(), {"-isystem", run.host_compile[i + 1]});
  }
  includes.push_back("-");
  Sha256 headers;
  const auto rule = ask_host(includes, path, "#include \"crt/host_runtime.h\"\n#include \"fatbinary_section.h\"\n");
  for (const auto& file : depfile_inputs(rule))
    if (file != "-") headers.field(cache.file_digest(file).hex());
  toolkit.runtime_headers = headers.finish();
}

}  // namespace

Digest Toolkit::digest() const {
  Sha256 sum;
  for (const auto& [name, value] : tools) sum.field(name).field(value.hex());
  return sum.field(runtime_headers.hex()).finish();
}

Toolkit inspect_toolkit(const Toolchain& toolchain, const Words& nvcc, ActionCache& cache, Reporter& reporter) {
  Toolkit toolkit;
  toolkit.toolchain = toolchain;
  Words argv = nvcc;
  argv.push_back("-gencode=arch=compute_80,code=sm_80");
  TempDir folder("sagebuild-toolkit");
  folder.sweep_if_killed();
  write_file(folder.path() / "empty.cu", "");
  const auto [run, reason] = dry_run(argv, "empty.cu", folder.path());
  if (!run) {
    toolkit.decompose_off = reason;
    toolkit.programs["nvcc"] = require_program(nvcc.front(), "");
    toolkit.tools["nvcc"] = cache.file_digest(toolkit.programs["nvcc"]);
    return toolkit;
  }
  find_tools(toolkit, nvcc, *run, cache);

  ActionKey key("toolkit", toolchain.nvcc_build);
  key.add("self-test", kTestSource).add("nvcc options", Words(nvcc.begin() + 1, nvcc.end()));
  for (const auto& [name, digest] : toolkit.tools) key.add(name, digest);
  key.add("runtime headers", toolkit.runtime_headers);
  auto known = cache.lookup(key);
  if (!known) {
    reporter.detail(fmt::format("self-test of CUDA {}", toolchain.nvcc_build));
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
    if (!problem.empty()) reporter.warning(fmt::format("CUDA {}: {}", toolchain.nvcc_build, problem));
  return toolkit;
}

}  // namespace sagebuild
