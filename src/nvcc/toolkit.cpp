#include "sagebuild/nvcc/toolkit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/nvcc/text.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/process.hpp"
#include "self_test.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

fs::path require_program(std::string_view name, const std::string& path_list) {
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
  test_toolkit(toolkit, nvcc, cache, reporter);
  return toolkit;
}

}  // namespace sagebuild
