#include "source_compile.hpp"

#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"

namespace sagebuild::nvcc {

Command Job::command(Words words, const fs::path& cwd) const {
  Command result;
  result.argv = std::move(words);
  result.cwd = cwd;
  if (!path.empty()) result.env["PATH"] = path;
  // A compiler that is killed leaves its temporary files; here they go with the build's own folder.
  const fs::path temporary = settings->work / "tmp";
  make_folders(temporary);
  result.env["TMPDIR"] = temporary;
  result.env["SOURCE_DATE_EPOCH"] = std::to_string(settings->date);  // gcc's __DATE__ and __TIME__
  return result;
}

std::vector<fs::path> Job::files_in(const fs::path& depfile) const {
  std::vector<fs::path> files;
  for (const auto& name : depfile_inputs(read_file(depfile)))
    files.push_back((source.recorded.cwd / name).lexically_normal());
  return files;
}

fs::path Job::unmapped(std::string_view name) const {
  for (const auto& [root, place] : settings->roots) {
    std::string_view rest = name;
    if (take_prefix(rest, fmt::format("/sagebuild/{}/", root))) return place / rest;
  }
  return name;
}

Step Job::step(std::string kind, const std::string& detail) const {
  Step result;
  result.subject = detail.empty() ? subject : fmt::format("{} {}", subject, detail);
  result.label = detail.empty() ? fmt::format("{} {}", kind, file) : fmt::format("{} {} {}", kind, detail, file);
  result.kind = std::move(kind);
  return result;
}

std::shared_ptr<const CompileSettings> with_headers_root(const CompileSettings& settings) {
  auto result = std::make_shared<CompileSettings>(settings);
  result->roots["headers"] = settings.headers;
  return result;
}

std::string first_complaint(const StepFailure& failure) {
  const auto lines = lines_of(failure.reason);
  if (lines.empty()) return failure.kind + " failed";
  const auto error =
      std::ranges::find_if(lines, [](auto line) { return line.find("error") != std::string_view::npos; });
  return std::string(trimmed(error == lines.end() ? lines.front() : *error));
}

Words with_headers(const Words& argv, const Job& job, HeaderMode mode) {
  Words result = argv;
  if (mode == HeaderMode::full) return result;
  auto place = std::ranges::find_if(result, [](const auto& word) { return word.starts_with("-I"); });
  if (place == result.end()) place = result.begin() + 1;
  result.insert(place, "-I" + (job.settings->headers / name_of(mode)).string());
  return result;
}

Words preprocess_command(const Words& argv, const Job& job, HeaderMode mode, const fs::path& text) {
  Words result = with_headers(argv, job, mode);
  for (auto& option : macro_prefix_maps(job.settings->roots)) result.push_back(std::move(option));
  result.insert(result.end(), {"-MD", "-MF", text.string() + ".d", "-MT", "text", "-o", text.string()});
  return result;
}

std::string mapped_text(const Job& job, const fs::path& text) {
  return with_mapped_markers(read_file(text), job.settings->roots);
}

void map_text(const Job& job, const fs::path& text) { write_file(text, mapped_text(job, text)); }

void refuse(const std::string& reason) { throw Error(ErrorKind::failed, reason); }

StepGraph decomposed_steps(const JobPtr& job, const CompileMode& mode) {
  StepGraph graph;
  const DeviceSteps device = add_device_steps(graph, job, mode);
  add_host_steps(graph, job, mode, device);
  return graph;
}

StepGraph plain_steps(const JobPtr& job, const CompileMode& mode) {
  const fs::path object = job->folder / "whole.o";
  Step step = job->step("nvcc");
  Words argv = with_headers(job->argv, *job, mode.host);
  const std::string depfile = object.string() + ".d";
  job->depfiles.push_back(depfile);
  argv.insert(argv.end(), {"-MD", "-MF", depfile, "-c", job->source.recorded.source, "-o", object});
  step.command = [job, argv] {
    make_folders(job->folder);
    return job->command(argv, job->source.recorded.cwd);
  };
  step.finish = [job, object] {
    make_folders(job->source.recorded.object.parent_path());
    write_file(job->source.recorded.object, read_file(object));
  };
  step.expected_seconds = 60;
  step.expected_memory = mode.host == HeaderMode::full ? 3200ULL << 20U : 1100ULL << 20U;
  StepGraph graph;
  // Both passes see the same headers here, so macros are all that can go wrong silently.
  if (mode.host != HeaderMode::full) {
    step.after = {add_macro_check(graph, job, mode.host, [job](HeaderMode headers, const fs::path& text) {
      Words words = with_headers(job->argv, *job, headers);
      std::erase_if(words, [](const auto& word) { return word.starts_with("-gencode"); });
      words.insert(words.end(), {"-E", "-Xcompiler", "-dU,-MD,-MT,text,-MF," + text.string() + ".d",
                                 job->source.recorded.source, "-o", text});
      return words;
    })};
  }
  graph.push_back(std::move(step));
  return graph;
}

StepGraph cxx_steps(const JobPtr& job, HeaderMode mode) {
  const auto& recorded = job->source.recorded;
  const fs::path text =
      job->folder / (recorded.source.stem().string() + (recorded.language == Language::c ? ".i" : ".ii"));
  const fs::path object = job->folder / "whole.o";
  Step preprocess = job->step("preprocess");
  preprocess.command = [job, mode, text] {
    make_folders(job->folder);
    Words argv = preprocess_command(job->argv, *job, mode, text);
    argv.insert(argv.end(), {"-E", job->source.recorded.source});
    return job->command(argv, job->source.recorded.cwd);
  };
  preprocess.finish = [job, text] { map_text(*job, text); };
  job->depfiles.push_back(text.string() + ".d");

  Step compile = job->step("g++");
  compile.after = {0};
  Words argv = {job->argv.front()};
  for (auto& word : options_of(job->argv, {"-isystem", "-include", "-I", "-D", "-U", "-iquote", "-idirafter"}))
    if (!word.starts_with("-I") && !word.starts_with("-D") && !word.starts_with("-U")) argv.push_back(word);
  argv.insert(argv.end(), {std::string(kLessGarbageCollection), "-c", text.filename(), "-o", "whole.o"});
  compile.command = [job, argv] { return job->command(argv, job->folder); };
  compile.key = [job, argv, text] {
    return cxx_key(job->subject, job->settings->toolkit->tools.at("host"), argv, read_file(text));
  };
  compile.outputs = {{"object", object}};
  compile.finish = [job, object] {
    make_folders(job->source.recorded.object.parent_path());
    write_file(job->source.recorded.object, read_file(object));
  };
  compile.expected_seconds = mode == HeaderMode::full ? 28 : 6;
  compile.expected_memory = mode == HeaderMode::full ? 1900ULL << 20U : 700ULL << 20U;
  StepGraph graph;
  graph.push_back(std::move(preprocess));
  graph.push_back(std::move(compile));
  return graph;
}

}  // namespace sagebuild::nvcc
