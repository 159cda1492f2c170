// The macros that own files ask for, with our headers in front of a pass, against what torch's own
// headers define.
//
// Full headers take seconds to read, but what they define does not depend on the source: they are
// read once for the options and the architecture of a pass, in a text that includes what the source
// includes of them, and kept in the cache. What the source asks for shows in its own text with our
// headers (preprocess_step): every macro that it tests or expands (-dU), every name that counts as
// 0 in a condition (-Wundef), and every name that it uses. What torch's headers define and undefine
// before the end is not looked at, since no file of the source can be read in between.

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/paths.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

constexpr std::string_view kPython = "/sagebuild/python/";

std::set<std::string, std::less<>> macros_of_ours(const Job& job, HeaderMode headers) {
  std::set<std::string, std::less<>> names;
  for (const fs::path& file : files_below(job.settings->headers / name_of(headers)))
    names.merge(defined_macros(read_file(file)));
  return names;
}

// A text that includes the headers of torch's for which ours stood in; empty if the source reads
// none.
std::string probe_text(const Job& job, HeaderMode headers, const Depfile& ours) {
  const std::string folder = (job.settings->headers / name_of(headers)).string() + "/";
  std::string text;
  for (const auto& file : job.files_in(ours)) {
    std::string_view name = file.native();
    if (take_prefix(name, folder) && !name.starts_with("sagebuild/"))
      text += fmt::format("#include <{}>\n", name);
  }
  return text;
}

// torch names the module in this macro. The probe has one name for all modules, so that it is run
// once for all: what torch's headers define can hang on whether there is one, and not on which.
constexpr std::string_view kModuleMacro = "TORCH_EXTENSION_NAME";
constexpr std::string_view kAnyModule = "sagebuild_any_module";

// Of "-DTORCH_EXTENSION_NAME=x", or of the second word of "-D TORCH_EXTENSION_NAME=x".
std::optional<std::string_view> module_in(std::string_view word) {
  take_prefix(word, "-D");
  if (take_prefix(word, kModuleMacro) && take_prefix(word, "=")) return word;
  return std::nullopt;
}

Words probe_command(Words argv, const fs::path& source, const fs::path& probe) {
  for (auto& word : argv) {
    if (word == source.native()) word = probe.string();
    if (const auto module = module_in(word))
      word.replace(word.size() - module->size(), module->size(), kAnyModule);
  }
  return argv;
}

// What the probe would have told for the module of this command.
MacroState for_module(MacroState full, const Words& argv) {
  const auto value = full.defined.find(kModuleMacro);
  if (value == full.defined.end() || trimmed(value->second) != kAnyModule) return full;
  for (const auto& word : argv)
    if (const auto module = module_in(word)) value->second = fmt::format(" {}", *module);
  return full;
}

}  // namespace

void add_macro_check(StepGraph& graph, const JobPtr& job, Stage check, const std::string& pass,
                     HeaderMode headers, const Words& preprocess, const fs::path& ours,
                     StepId preprocessed) {
  const fs::path cwd = job->source.recorded.cwd;
  const Depfile depfile{ours.string() + ".d", cwd};
  Step full = job->step(check, "macros of torch's headers for " + pass, HeaderMode::full);
  full.folder = job->place("macros-full." + pass);
  full.reads = {asked_in(ours), depfile.file, warned_in(ours)};
  const fs::path folder = full.folder;
  const fs::path probe = folder / ("probe" + job->source.recorded.source.extension().string());
  const fs::path text = folder / "full.ii";
  const Words command = probe_command(preprocess, job->source.recorded.source, probe);
  const Words key_words = probe_command(preprocess, job->source.recorded.source, probe.filename());
  full.key = [job, headers, depfile, key_words]() -> std::optional<ActionKey> {
    const std::string includes = probe_text(*job, headers, depfile);
    if (includes.empty() || !job->unnamed_files.empty()) return std::nullopt;
    ActionKey key = direct_key("torch's headers", "macros", job->settings->toolkit->digest(),
                               key_words, "", job->settings->roots);
    key.add("text", includes);
    return key;
  };
  full.scope = job->scope;
  full.outputs = {{"macros", folder / "macros"}, {"files", folder / "files"}};
  full.command = [job, headers, depfile, command, probe, text, cwd]() -> std::optional<Command> {
    const std::string includes = probe_text(*job, headers, depfile);
    if (includes.empty()) return std::nullopt;
    write_file(probe, includes);
    Words argv = preprocess_command(command, *job, HeaderMode::full, text);
    argv.push_back("-dD");
    return job->command(argv, cwd);
  };
  full.files_read = [job, text, cwd] { return job->files_in({text.string() + ".d", cwd}); };
  full.check = [job, folder, text, cwd] {
    if (!path_exists(text)) return;  // no header of torch's
    write_file(folder / "macros", text_of(macro_state(read_file(text))));
    // For the whole compile, which is found by its files. Without Python's own, so that the next
    // Python compiles no CUDA source again: one that asks for a macro of Python's is refused these
    // headers.
    const bool with_python = job->source.recorded.language != Language::cuda;
    std::string names;
    for (const auto& file : job->files_in({text.string() + ".d", cwd})) {
      const std::string name = job->mapped(file);
      if (with_python || !name.starts_with(kPython)) names += name + "\n";
    }
    write_file(folder / "files", names);
  };
  const bool has_no_arch_list = pass == "host" && job->source.recorded.language == Language::cuda;
  full.finish = [job, headers, preprocess, folder, ours, has_no_arch_list] {
    const auto known = read_file_if_exists(folder / "macros");
    const auto is_own = [&](std::string_view file) {
      return !file.starts_with('<') && job->is_own(job->source.recorded.cwd / file);
    };
    const std::string warnings = read_file_if_exists(warned_in(ours)).value_or("");
    const MacroUse use = macro_use(read_file(asked_in(ours)), warnings, is_own);
    if (has_no_arch_list && use.defined.contains("__CUDA_ARCH_LIST__"))
      refuse("the source reads __CUDA_ARCH_LIST__");
    if (!known) return;
    const MacroState torchs = for_module(macro_state(*known), preprocess);
    refuse_if(macro_difference(use, torchs, macros_of_ours(*job, headers)));
  };
  job->reads->lists.push_back(folder / "files");
  append(graph, std::move(full), {preprocessed});
}

}  // namespace sagebuild::nvcc
