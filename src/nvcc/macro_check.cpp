// Facts section 5, check 4: the macros that the project's own files ask for, with full headers and with ours.

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {
namespace {

constexpr std::string_view kProject = "/sagebuild/tree/";
constexpr std::string_view kPython = "/sagebuild/python/";

std::set<std::string, std::less<>> macros_of_ours(const Job& job, HeaderMode headers) {
  std::set<std::string, std::less<>> names;
  for (const auto& entry : fs::recursive_directory_iterator(job.settings->headers / name_of(headers)))
    if (entry.is_regular_file()) names.merge(defined_macros(read_file(entry.path())));
  return names;
}

// Full headers take seconds to read. What the project asks for shows in our own text: every macro that it tests, by
// -dU, every name that it uses and every header that it includes. So the verdict holds until one of those, an option or
// a full header changes; where the project's lines stand does not matter.
ActionKey verdict_key(const Job& job, Words command, const fs::path& ours,
                      const std::set<std::string, std::less<>>& by_design) {
  const auto& settings = *job.settings;
  std::erase_if(command, [](const auto& word) { return word.starts_with("-fmacro-prefix-map="); });  // of this folder
  ActionKey key = direct_key(job.subject, "header check", settings.toolkit->digest(), command, job.id, settings.roots);
  key.add("our text", token_digest(read_file(ours)));
  Words headers;
  for (const auto& file : job.files_in(ours.string() + ".d")) headers.push_back(job.mapped(file));
  key.add("our files", headers);
  key.add("our macros", Words(by_design.begin(), by_design.end()));
  return key;
}

// The full headers that a verdict rests on, by their fixed names: a hit of the verdict brings them along, wherever
// torch is installed here. Without Python's own, so that the next Python compiles no CUDA source again: one that asks
// for a macro of Python's has been refused these headers.
fs::path list_of_files(const Job& job) { return job.folder / "macros" / "files"; }

}  // namespace

std::vector<fs::path> files_of_full_headers(const Job& job) {
  std::vector<fs::path> files;
  const std::string list = read_file_if_exists(list_of_files(job)).value_or("");
  for (const std::string_view name : lines_of(list)) files.push_back(job.unmapped(name));
  return files;
}

StepId add_macro_check(StepGraph& graph, const JobPtr& job, HeaderMode headers, const MacroPreprocess& preprocess) {
  const fs::path full = job->folder / "macros" / "full.ii";
  const fs::path ours = job->folder / "macros" / "ours.ii";
  const auto command = [job, preprocess](HeaderMode mode, const fs::path& text) {
    make_folders(text.parent_path());
    return job->command(preprocess(mode, text), job->source.recorded.cwd);
  };
  Step our_text = job->step("header check", fmt::format("macros of {} headers", name_of(headers)));
  our_text.command = [command, headers, ours] { return command(headers, ours); };
  our_text.finish = [job, ours] { map_text(*job, ours); };
  our_text.expected_seconds = 0.5;
  graph.push_back(std::move(our_text));

  Step check = job->step("header check", "macros of full headers");
  check.after = {graph.size() - 1};
  check.command = [command, full] { return command(HeaderMode::full, full); };
  check.key = [job, preprocess, headers, ours] {
    return verdict_key(*job, preprocess(HeaderMode::full, "full.ii"), ours, macros_of_ours(*job, headers));
  };
  check.scope = job->scope;
  check.outputs = {{"files", list_of_files(*job)}};
  check.files_read = [job] { return files_of_full_headers(*job); };
  check.check = [job, full, ours, headers] {
    refuse_if(macro_difference(mapped_text(*job, full), read_file(ours), kProject, macros_of_ours(*job, headers)));
    std::string names;
    for (const auto& file : job->files_in(full.string() + ".d"))
      if (const auto name = job->mapped(file); !name.starts_with(kProject) && !name.starts_with(kPython))
        names += name + "\n";
    write_file(list_of_files(*job), names);
  };
  check.expected_seconds = 2.5;
  graph.push_back(std::move(check));
  return graph.size() - 1;
}

StepId add_host_macro_check(StepGraph& graph, const JobPtr& job, const Words& preprocess,
                            const std::vector<StepId>& after) {
  const fs::path host = job->folder / "macros" / "host.ii";
  Step check = job->step("host header check", "macros");
  check.after = after;
  check.command = [job, preprocess, host] {
    Words argv = preprocess_command(preprocess, *job, HeaderMode::facade, host);
    argv.push_back("-dU");
    return job->command(argv, job->source.recorded.cwd);
  };
  check.check = [job, host] {
    refuse_if(macros_beyond(mapped_text(*job, host), read_file(job->folder / "macros" / "ours.ii"), kProject,
                            macros_of_ours(*job, HeaderMode::facade)));
  };
  check.expected_seconds = 0.5;
  graph.push_back(std::move(check));
  return graph.size() - 1;
}

}  // namespace sagebuild::nvcc
