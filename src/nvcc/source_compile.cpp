#include "source_compile.hpp"

#include "proved.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/nvcc/checks.hpp"
#include "sagebuild/nvcc/keys.hpp"
#include "sagebuild/sys/paths.hpp"

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

// What lies below the work folder but not in the tree was made by this build: the texts between the
// stages.
std::vector<fs::path> Job::files_in(const Depfile& depfile) const {
  std::vector<fs::path> files;
  for (const auto& name : depfile_inputs(read_file(depfile.file))) {
    fs::path read = (depfile.cwd / name).lexically_normal();
    // Line markers and nvcc's temporary text are named, too.
    const bool is_pseudo = read.native().starts_with("/sagebuild/") ||
                           name.native().starts_with("{standard") ||
                           name.native().ends_with(".cudafe1.cpp");
    if (!is_pseudo && !is_below(read, settings->work)) files.push_back(std::move(read));
  }
  return files;
}

bool Job::is_own(const fs::path& header) const {
  const fs::path normal = header.lexically_normal();
  std::error_code ignored;
  const fs::path real = fs::weakly_canonical(normal, ignored);
  return std::ranges::none_of(settings->foreign_headers, [&](const fs::path& foreign) {
    return !foreign.empty() && (is_below(normal, foreign) || is_below(real, foreign));
  });
}

Step Job::step(Stage stage, const std::string& detail, HeaderMode headers) const {
  const std::string_view kind = name_of(stage);
  const StageFacts& facts = facts_of(stage);
  const StageCost& cost = headers == HeaderMode::full ? facts.with_torchs : facts.with_stand_ins;
  Step result;
  result.stage = stage;
  result.expected_seconds = cost.seconds;
  result.expected_memory = cost.mebibytes << 20U;
  result.subject = detail.empty() ? subject : fmt::format("{} {}", subject, detail);
  // What a step took with other headers says nothing of what it takes with these: 0.25 GB or 2.2 in
  // cudafe++.
  if (!mode_name.empty()) result.subject += ", " + mode_name;
  result.label = detail.empty() ? fmt::format("{} {}", kind, file)
                                : fmt::format("{} {} {}", kind, detail, file);
  return result;
}

std::vector<fs::path> Job::listed(const fs::path& list) const {
  std::vector<fs::path> files;
  const std::string names = read_file_if_exists(list).value_or("");
  for (const std::string_view name : lines_of(names))
    files.push_back(unmapped_path(name, settings->roots).value_or(name));
  return files;
}

std::optional<ActionKey> kept_by_key(const Job& job, ActionKey key, const Words& argv) {
  if (!job.unnamed_files.empty()) return std::nullopt;
  const Words options(argv.begin() + 1, argv.end());
  for (const auto& file : named_files(options, "/"))
    key.add(job.mapped(file), job.settings->cache->file_digest(file));
  return key;
}

std::shared_ptr<const CompileSettings> with_headers_root(const CompileSettings& settings) {
  auto result = std::make_shared<CompileSettings>(settings);
  result->roots["headers"] = settings.headers;
  return result;
}

std::string first_complaint(const StepFailure& failure) {
  const auto lines = lines_of(failure.reason);
  if (lines.empty()) return fmt::format("{} failed", name_of(failure.stage));
  const auto error = std::ranges::find_if(lines, [](auto line) {
    return line.find("error") != std::string_view::npos ||
           line.find("multiple definition") != std::string_view::npos;
  });
  return std::string(trimmed(error == lines.end() ? lines.front() : *error));
}

Words with_headers(const Words& argv, const Job& job, HeaderMode mode) {
  Words result = argv;
  if (mode == HeaderMode::full) return result;
  auto place =
      std::ranges::find_if(result, [](const auto& word) { return word.starts_with("-I"); });
  if (place == result.end()) place = result.begin() + 1;
  result.insert(place, "-I" + (job.settings->headers / name_of(mode)).string());
  return result;
}

Words preprocess_command(const Words& argv, const Job& job, HeaderMode mode, const fs::path& text) {
  Words result = with_headers(argv, job, mode);
  for (auto& option : macro_prefix_maps(job.settings->roots)) result.push_back(std::move(option));
  result.insert(result.end(), {std::string(kHeadersAsFound), "-MD", "-MF", text.string() + ".d",
                               "-MT", "text", "-o", text.string()});
  return result;
}

// -dU and -Wundef tell of the macros and change no token of the text: what they say stands on lines
// of its own, or in the log.
Step preprocess_step(Stage stage, const JobPtr& job, const std::string& detail, const Words& argv,
                     HeaderMode headers, const fs::path& text) {
  Step step = job->step(stage, detail);
  step.folder = text.parent_path();
  step.writes = {text, text.string() + ".d"};
  const bool asks = headers != HeaderMode::full;
  if (asks) step.writes.insert(step.writes.end(), {asked_in(text), warned_in(text)});
  step.command = [job, argv, headers, text, asks] {
    Words words = preprocess_command(argv, *job, headers, text);
    if (!asks) return job->command(words, job->source.recorded.cwd);
    // The source's own -Werror=undef, which comes later, counts.
    std::erase(words, "-w");
    words.insert(words.begin() + 1, "-Wno-error=undef");
    words.insert(words.end(),
                 {"-dU", "-Wundef", "-Wsystem-headers", "-fno-diagnostics-show-caret"});
    Command command = job->command(words, job->source.recorded.cwd);
    command.log = warned_in(text);
    return command;
  };
  step.finish = [job, text, asks] {
    const std::string written = read_file(text);
    if (asks) move_path(text, asked_in(text));
    write_file(text, normalised_text(written, job->settings->roots));
  };
  return step;
}

StepId append(StepGraph& graph, Step step, std::vector<StepId> after) {
  step.after = std::move(after);
  graph.push_back(std::move(step));
  return graph.size() - 1;
}

std::shared_ptr<Job> Job::in(const fs::path& new_attempt) const {
  const auto other = std::make_shared<Job>(*this);
  other->attempt = new_attempt;
  return other;
}

JobPtr Job::part(std::size_t number, std::size_t of, std::string_view name) const {
  const auto part = in(place(fmt::format("part.{}", number)));
  part->id += "_" + sha256(name).hex().substr(0, 8);
  part->subject += fmt::format(" part {} of {}", number, of);
  part->file += fmt::format(" part {} of {}", number, of);
  StageCosts& costs = part->source.costs;  // a recipe's are those of the whole source
  costs = {costs.cicc_seconds / static_cast<double>(of),
           costs.ptxas_seconds / static_cast<double>(of)};
  return part;
}

void require_same_tools(StepGraph& graph, const std::shared_ptr<const CompileSettings>& settings) {
  for (Step& step : graph) {
    if (!step.key) continue;
    step.check = [settings, check = std::move(step.check)] {
      if (!settings->toolkit->unchanged(*settings->cache))
        refuse("the toolkit was replaced while it compiled");
      if (check) check();
    };
  }
}

void refuse(const std::string& reason) { throw Error(ErrorKind::failed, reason); }

void found_by_files(Step& step, const JobPtr& job, Words& argv, std::vector<fs::path> deps) {
  // A file that is brought in by .incbin is named relative to where ninja would have compiled.
  argv.insert(argv.end(), {"-Wa,-I," + job->source.recorded.cwd.string(), "-Wa,--MD,as.d"});
  deps.emplace_back("as.d");
  const fs::path folder = step.folder;
  const fs::path list = folder / "files";
  step.scope = job->scope;
  step.scope->comments_count = true;  // data has none
  step.outputs["files"] = list;
  step.files_read = [job, list] { return job->listed(list); };
  step.check = [job, folder, list, deps, before = std::move(step.check)] {
    if (before) before();
    std::string names;
    for (const auto& depfile : deps)
      for (const auto& file : job->files_in({folder / depfile, folder}))
        names += job->mapped(file) + "\n";
    write_file(list, names);
  };
  job->reads->lists.push_back(list);
}

void publish(Step& step, const JobPtr& job, const fs::path& object) {
  const fs::path& place = job->source.recorded.object;
  step.writes.push_back(place);
  step.finish = [object, place] { copy_content(object, place); };
}

StepGraph plain_steps(const JobPtr& job) {
  Step step = job->step(Stage::plain_nvcc);
  step.folder = job->place("nvcc");
  const fs::path object = step.folder / "whole.o";
  const fs::path depfile = step.folder / "whole.d";
  const fs::path assembled = step.folder / "as.d";
  Words argv = job->argv;
  // nvcc splits the host compiler's options at commas that no backslash protects.
  argv.insert(argv.end(), {"-MD", "-MF", depfile, "-Xcompiler", std::string(kHeadersAsFound),
                           "-Xcompiler", "-Wa\\,--MD\\," + assembled.string(), "-c",
                           job->source.recorded.source, "-o", object});
  for (const auto& deps : {depfile, assembled})
    job->reads->depfiles.push_back({deps, job->source.recorded.cwd});
  step.command = [job, argv] { return job->command(argv, job->source.recorded.cwd); };
  publish(step, job, object);
  return {std::move(step)};
}

namespace {

// The place of the text, which ends in what the compiler knows the language by.
fs::path cxx_text(const Job& job) {
  const auto& recorded = job.source.recorded;
  return job.place("preprocess") /
         (recorded.source.stem().string() + (recorded.language == Language::c ? ".i" : ".ii"));
}

Words cxx_preprocess(const Job& job) {
  Words argv = job.argv;
  argv.insert(argv.end(), {"-E", job.source.recorded.source});
  return argv;
}

Step cxx_preprocess_step(const JobPtr& job, HeaderMode mode) {
  return preprocess_step(Stage::preprocess, job, {}, cxx_preprocess(*job), mode, cxx_text(*job));
}

// Compiles `text` with the recorded options and `more`.
Step cxx_compile_step(const JobPtr& job, HeaderMode mode, const fs::path& text, const Words& more) {
  Step step = job->step(Stage::host_compiler, {}, mode);
  step.folder = job->place("compile");
  const std::string name = text.filename();
  step.inputs = {{text, name}};
  Words argv = {job->argv.front()};
  for (auto& word :
       options_of(job->argv, {"-isystem", "-include", "-I", "-D", "-U", "-iquote", "-idirafter"}))
    if (!word.starts_with("-I") && !word.starts_with("-D") && !word.starts_with("-U"))
      argv.push_back(word);
  argv.insert(argv.end(), more.begin(), more.end());
  argv.insert(argv.end(), {std::string(kLessGarbageCollection), "-c", name, "-o", "whole.o"});
  step.key = [job, argv, input = step.folder / name] {
    return kept_by_key(
        *job,
        cxx_key(job->subject, job->settings->toolkit->tools.at("host"), argv, read_file(input)),
        argv);
  };
  step.outputs = {{"object", step.folder / "whole.o"}};
  found_by_files(step, job, argv, {});
  step.command = [job, argv, folder = step.folder] { return job->command(argv, folder); };
  return step;
}

// The text made with our headers is that of the step `preprocess`.
void add_cxx_proof(StepGraph& graph, const JobPtr& job, HeaderMode mode, StepId preprocess) {
  const JobPtr ours = job->in(job->place("host-proof.ours"));
  const JobPtr torchs = job->in(job->place("host-proof.torch"));
  const StepId text = append(graph, cxx_preprocess_step(torchs, HeaderMode::full), {});
  const Words options(kComparableObject.begin(), kComparableObject.end());
  Step compile = cxx_compile_step(ours, mode, cxx_text(*job), options);
  const StepId with_ours = append(graph, std::move(compile), {preprocess});
  compile = cxx_compile_step(torchs, HeaderMode::full, cxx_text(*torchs), options);
  const StepId with_torch = append(graph, std::move(compile), {text});
  append(graph,
         host_proof_step(job, graph[with_ours].outputs.at("object"),
                         graph[with_torch].outputs.at("object")),
         {with_ours, with_torch});
}

}  // namespace

StepGraph cxx_steps(const JobPtr& job, HeaderMode mode) {
  StepGraph graph;
  const StepId preprocess = append(graph, cxx_preprocess_step(job, mode), {});
  job->reads->depfiles.push_back({cxx_text(*job).string() + ".d", job->source.recorded.cwd});
  std::vector<StepId> before = {preprocess};
  if (mode != HeaderMode::full) {
    before.push_back(add_source_check(graph, job, {preprocess}, job->reads->depfiles));
    add_macro_check(graph, job, Stage::header_check, "host", mode, cxx_preprocess(*job),
                    cxx_text(*job), preprocess);
    if (job->settings->choice == HeaderChoice::check) add_cxx_proof(graph, job, mode, preprocess);
  }
  Step compile = cxx_compile_step(job, mode, cxx_text(*job), {});
  publish(compile, job, compile.folder / "whole.o");
  append(graph, std::move(compile), std::move(before));
  return graph;
}

}  // namespace sagebuild::nvcc
