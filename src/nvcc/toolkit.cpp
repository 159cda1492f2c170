#include "sagebuild/nvcc/toolkit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/layout.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"
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
    } catch (const Error& error) {
      throw without_blame(error);
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

fs::path require_program(std::string_view name, const std::string& path_list) {
  if (name.find('/') != std::string_view::npos) return name;
  if (auto found = path_list.empty() ? find_program(name) : find_program(name, path_list))
    return *found;
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

std::string host_compiler_of(const Toolchain& toolchain) {
  return toolchain.host_compiler.empty() ? "g++" : toolchain.host_compiler.string();
}

// "programs: =/usr/lib/gcc/x/12/:/usr/lib/gcc/..." of -print-search-dirs.
std::vector<fs::path> listed_folders(std::string_view answer, std::string_view name) {
  std::vector<fs::path> folders;
  for (std::string_view line : lines_of(answer)) {
    if (!take_prefix(line, name) || !take_prefix(line, ": =")) continue;
    for (const auto folder : split(line, ":")) folders.emplace_back(folder);
  }
  return folders;
}

std::optional<fs::path> first_in(const std::vector<fs::path>& folders, const std::string& name) {
  for (const auto& folder : folders)
    if (std::error_code ignored; fs::is_regular_file(folder / name, ignored)) return folder / name;
  return std::nullopt;
}

// Finds the parts of one toolkit, and digests them.
class Inspection {
 public:
  Inspection(Toolkit& toolkit, ActionCache& cache, std::string path_list)
      : toolkit_(toolkit), cache_(cache), path_(std::move(path_list)) {}

  void cuda_tools(const std::string& nvcc, const DryRun* run) {
    auto& programs = toolkit_.programs;
    programs["nvcc"] = require_program(nvcc, path_);
    programs["ld"] = require_program("ld", path_);
    if (run != nullptr) {
      programs["cudafe++"] = require_program(run->cudafe.front(), path_);
      programs["cicc"] = require_program(run->passes.front().cicc.front(), path_);
      programs["ptxas"] = require_program("ptxas", path_);
      programs["fatbinary"] = require_program(run->fatbinary.front(), path_);
      const fs::path libdevice =
          programs["cicc"].parent_path().parent_path() / "libdevice" / "libdevice.10.bc";
      if (is_there(libdevice)) toolkit_.tools["libdevice"] = digest_of(libdevice);
    }
    for (const auto& [name, program] : programs) toolkit_.tools[name] = digest_of(program);
    // It decides the include folders, and lies beside the program that a link leads to.
    for (const fs::path& program : {programs["nvcc"], real_path(programs["nvcc"])}) {
      const fs::path profile = program.parent_path() / "nvcc.profile";
      if (is_there(profile)) toolkit_.tools["nvcc.profile"] = digest_of(profile);
    }
  }

  // Without a dry run nvcc does not tell what it starts, so all that it could start from its own
  // folders counts.
  void all_cuda_tools() {
    const fs::path nvcc = real_path(toolkit_.programs.at("nvcc"));
    const fs::path home = nvcc.parent_path().parent_path();
    if (!is_elf(nvcc)) {
      toolkit_.unknown_tools =
          fmt::format("'{}' is a script, and what it starts is not known", nvcc.string());
      return;
    }
    for (const char* tool : {"cudafe++", "ptxas", "fatbinary", "../nvvm/bin/cicc"}) {
      const fs::path program = (nvcc.parent_path() / tool).lexically_normal();
      if (is_there(program)) continue;
      toolkit_.unknown_tools =
          fmt::format("what nvcc starts is not known: there is no '{}'", program.string());
      return;
    }
    for (const fs::path& folder : {nvcc.parent_path(), home / "nvvm"})
      for (const fs::path& file : files_below(folder))
        toolkit_.tools[file.lexically_relative(home)] = digest_of(file);
    try {
      runtime_headers({"-I" + (home / "include").string(),
                       "-I" + (toolkit_.toolchain.cuda_home / "include").string()});
    } catch (const Error& error) {
      toolkit_.unknown_tools = fmt::format("what nvcc includes is not known: {}", error.message);
    }
  }

  void host_tools(const std::string& driver) {
    driver_ = require_program(driver, path_);
    toolkit_.programs["host"] = driver_;
    const std::string answer = ask_host({driver_, "-print-search-dirs"}, path_);
    const auto programs = listed_folders(answer, "programs");
    libraries_ = listed_folders(answer, "libraries");
    linker_ = require_program(first_in(programs, "ld").value_or("ld").string(), path_);

    Sha256 host;
    host.field(digest_of(driver_).hex());
    for (const std::string name : {"cc1plus", "as"})
      host.field(digest_of(require_program(first_in(programs, name).value_or(name).string(), path_))
                     .hex());
    host.field(digest_of(linker_).hex());
    for (const std::string name : {"cc1", "collect2", "lto1", "lto-wrapper", "liblto_plugin.so"})
      if (const auto part = first_in(programs, name))
        host.field(name).field(digest_of(*part).hex());
    for (const std::string name : {"specs", "libgomp.spec", "libitm.spec", "libsanitizer.spec"})
      if (const auto part = first_in(libraries_, name))
        host.field(name).field(digest_of(*part).hex());
    toolkit_.tools["host"] = host.finish();
    if (const auto strip = find_program("strip")) toolkit_.tools["strip"] = digest_of(*strip);
  }

  // What the compiler and its linker say of themselves: it takes five processes, so the cache keeps
  // it.
  void host_facts() {
    ActionKey key("toolkit facts", driver_.string());
    key.add("host compiler", toolkit_.tools.at("host")).add("driver", driver_.string());
    auto known = cache_.lookup(key);
    if (!known) {
      ActionResult result;
      result.facts = {{"includes", join(include_words(), "\n")},
                      {"libraries", join(library_words(), "\n")},
                      {"lists link inputs", knows_dependency_file() ? "yes" : ""}};
      cache_.store(key, {}, result);
      known = result;
    }
    for (const auto line : lines_of(known->facts["includes"]))
      toolkit_.system_includes.emplace_back(line);
    for (const auto line : lines_of(known->facts["libraries"]))
      toolkit_.library_folders.emplace_back(line);
    toolkit_.lists_link_inputs = known->facts["lists link inputs"] == "yes";
  }

  void runtime_headers(const DryRun& run) {
    Words includes;
    for (std::size_t i = 0; i < run.host_compile.size(); ++i) {
      if (run.host_compile[i].starts_with("-I")) includes.push_back(run.host_compile[i]);
      if (run.host_compile[i] == "-isystem")
        includes.insert(includes.end(), {"-isystem", run.host_compile[i + 1]});
    }
    runtime_headers(includes);
  }

  void runtime_headers(const Words& includes) {
    Words argv = {driver_.string(), "-M", "-x", "c++"};
    argv.insert(argv.end(), includes.begin(), includes.end());
    argv.push_back("-");
    Sha256 headers;
    const auto rule = ask_host(
        argv, path_, "#include \"crt/host_runtime.h\"\n#include \"fatbinary_section.h\"\n");
    for (const auto& file : depfile_inputs(rule))
      if (file != "-") headers.field(digest_of(file).hex());
    toolkit_.runtime_headers = headers.finish();
  }

 private:
  Digest digest_of(const fs::path& file) { return toolkit_.files[file] = cache_.file_digest(file); }

  Words include_words() const {
    Words absent, found;
    for (const std::string language : {"c++", "c"}) {
      Command command{
          .argv = {driver_.string(), "-E", "-v", "-x", language, "/dev/null", "-o", "/dev/null"}};
      if (!path_.empty()) command.env["PATH"] = path_;
      const std::string answer =
          run_checked(command, fmt::format("cannot ask '{}'", driver_.string())).diagnostics;
      bool listed = false;
      for (std::string_view line : lines_of(answer)) {
        Words& words = listed ? found : absent;
        if (line.ends_with("search starts here:"))
          listed = true;
        else if (line.starts_with("End of search list"))
          listed = false;
        else if (listed)
          line = trimmed(line);
        else if (take_prefix(line, "ignoring nonexistent directory \""))
          line.remove_suffix(1);
        else
          continue;
        if (line.starts_with('/') && std::ranges::find(words, line) == words.end())
          words.emplace_back(line);
      }
    }
    absent.insert(absent.end(), found.begin(), found.end());
    return absent;
  }

  Words library_words() const {
    Words folders;
    for (const auto& folder : libraries_) folders.push_back(folder.string());
    const std::string script = ask_host({linker_.string(), "--verbose"}, path_);
    constexpr std::string_view kOpen = "SEARCH_DIR(\"";
    for (auto at = script.find(kOpen); at != std::string::npos; at = script.find(kOpen, at)) {
      at += kOpen.size();
      std::string_view folder = std::string_view(script).substr(at, script.find('"', at) - at);
      take_prefix(folder, "=");  // a sysroot, which only an option would set
      folders.emplace_back(folder);
    }
    return folders;
  }

  bool knows_dependency_file() const {
    return ask_host({linker_.string(), "--help"}, path_).find("--dependency-file") !=
           std::string::npos;
  }

  Toolkit& toolkit_;
  ActionCache& cache_;
  std::string path_;  // where programs are looked for; empty: our own PATH
  fs::path driver_;
  fs::path linker_;
  std::vector<fs::path> libraries_;
};

}  // namespace

Digest Toolkit::digest() const {
  Sha256 sum;
  for (const auto& [name, value] : tools) sum.field(name).field(value.hex());
  return sum.field(runtime_headers.hex()).finish();
}

bool Toolkit::unchanged(ActionCache& cache) const {
  return std::ranges::all_of(files, [&](const auto& file) {
    try {
      return cache.file_digest(file.first) == file.second;
    } catch (const Error&) {
      return false;  // it is gone
    }
  });
}

Toolkit inspect_toolkit(const Toolchain& toolchain, const Words& nvcc, ActionCache& cache,
                        Reporter& reporter) {
  Toolkit toolkit;
  toolkit.toolchain = toolchain;
  Words argv = nvcc;
  argv.push_back("-gencode=arch=compute_80,code=sm_80");
  TempDir folder("sagebuild-toolkit");
  folder.sweep_if_killed();
  write_file(folder.path() / "empty.cu", "");
  const auto [run, reason, programs] = dry_run(argv, "empty.cu", folder.path());
  Inspection inspection(toolkit, cache, run ? run->path : "");
  inspection.cuda_tools(nvcc.front(), run ? &*run : nullptr);
  inspection.host_tools(run ? run->host_compile.front() : host_compiler_of(toolchain));
  inspection.host_facts();
  if (!run) {
    toolkit.decompose_off = reason;
    inspection.all_cuda_tools();
    reporter.warning(fmt::format("CUDA {}: {}", toolchain.nvcc_build, reason));
    return toolkit;
  }
  inspection.runtime_headers(*run);

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
    if (!problem.empty())
      reporter.warning(fmt::format("CUDA {}: {}", toolchain.nvcc_build, problem));
  return toolkit;
}

}  // namespace sagebuild
