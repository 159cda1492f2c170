#include "source_job.hpp"

#include <cctype>
#include <ctime>
#include <iterator>
#include <set>
#include <utility>

#include "sagebuild/nvcc/keys.hpp"

namespace sagebuild {
namespace {

std::string hex8(std::string_view text) { return sha256(text).hex().substr(0, 8); }

std::string as_identifier(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return text;
}

}  // namespace

std::string module_id(const std::filesystem::path& source_in_project, const std::string& project,
                      const std::string& module) {
  const std::string name = as_identifier(source_in_project.filename());
  return fmt::format("_{}_{}_{}_{}", hex8(source_in_project.generic_string()), name.size(), name,
                     hex8(project + "\n" + module));
}

namespace nvcc {
namespace {

// As it is called in keys and objects: below the project, where it lies there.
fs::path path_in_project(const PlannedSource& source, const CompileSettings& settings) {
  const auto tree = settings.roots.find("tree");
  if (tree == settings.roots.end()) return source.recorded.source.filename();
  const fs::path relative = source.recorded.source.lexically_relative(tree->second);
  if (relative.empty() || *relative.begin() != "..") return relative;
  // Two of one name in two folders are two sources. Above a project in a subfolder lies the rest
  // of its checkout, in another place in every build.
  const std::string checkout = settings.work.parent_path().native() + "/";
  return source.recorded.source.native().starts_with(checkout) ? relative : source.recorded.source;
}

// As gcc writes __TIMESTAMP__: "Tue Jan  1 00:00:00 1980".
std::string timestamp(std::time_t time) {
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &utc);
  return text;
}

void set_arguments(Job& job) {
  const CompileSettings& settings = *job.settings;
  if (!job.is_cuda()) {
    job.argv = normalise_host(job.source.recorded.argv);
  } else {
    if (job.source.targets.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' has no architecture to be compiled for", job.subject));
    const auto arguments =
        normalise_nvcc(job.source.recorded.argv, settings.prepend_flags, settings.append_flags);
    job.argv = arguments.argv;
    job.opaque = arguments.opaque;
    for (const auto& option : arguments.dropped)
      settings.reporter->warning(
          fmt::format("{}: '{}' has no effect, nvcc is taken apart", job.subject, option));
    if (job.opaque.empty()) job.opaque = settings.toolkit->decompose_off;
    for (auto& word : gencode_options(job.source.targets)) job.argv.push_back(std::move(word));
  }
  if (!job.source.cxx_standard.empty()) job.argv.push_back("-std=" + job.source.cxx_standard);
  // gcc takes __DATE__ and __TIME__ from SOURCE_DATE_EPOCH, but this one from the file. Standing
  // in the options, the date is in the keys of whatever begins with a preprocessor.
  Words dated = {fmt::format("-D__TIMESTAMP__=\"{}\"", timestamp(settings.date))};
  if (job.is_cuda()) dated.emplace_back("-Xcompiler");
  dated.emplace_back("-Wno-builtin-macro-redefined");
  job.argv.insert(job.argv.begin() + 1, dated.begin(), dated.end());
  job.unnamed_files = reads_unnamed_files(job.argv);
  if (job.unnamed_files.empty() && job.is_cuda())
    job.unnamed_files = settings.toolkit->unknown_tools;
  if (!job.unnamed_files.empty())
    settings.reporter->note(
        fmt::format("{} is not kept in the cache: {}", job.subject, job.unnamed_files));
}

// Where its preprocessor looks.
SearchScope search_scope(const Job& job) {
  SearchScope scope;
  scope.roots = job.settings->roots;
  // An option that is not known may copy lines of the source into PTX (-src-in-ptx). In C, two
  // slashes do not always begin a comment.
  scope.comments_count = !job.opaque.empty() || job.source.recorded.language == Language::c;
  scope.include_folders.push_back(job.source.recorded.cwd);  // -include looks there first
  for (const auto mode : {HeaderMode::facade, HeaderMode::binding})
    scope.include_folders.push_back(job.settings->headers / name_of(mode));
  std::ranges::move(include_folders(job.argv, job.source.recorded.cwd),
                    std::back_inserter(scope.include_folders));
  const Toolkit& toolkit = *job.settings->toolkit;
  if (job.is_cuda()) scope.include_folders.push_back(toolkit.toolchain.cuda_home / "include");
  std::ranges::copy(toolkit.system_includes, std::back_inserter(scope.include_folders));
  return scope;
}

// An options file may hold architectures that normalise_nvcc does not see: what nvcc prints must be
// what was asked for.
std::string other_architectures(const Layout& layout, const std::vector<Target>& targets) {
  std::set<std::string> asked, printed;
  for (const auto& target : targets) {
    if (target.sass) asked.insert(compute_name(target.virtual_arch) + " " + sm_name(target.real));
    if (target.ptx) asked.insert(compute_name(target.virtual_arch) + " ptx");
  }
  for (const auto& image : layout.images) {
    const std::string folder = image.file.substr(0, image.file.find('/'));
    printed.insert(image.kind == "ptx" ? folder + " ptx" : folder + " sm_" + image.sm);
  }
  return asked == printed ? "" : "nvcc compiles for other architectures than the plan's";
}

}  // namespace

std::shared_ptr<Job> job_of(const PlannedSource& source, const std::string& module,
                            std::shared_ptr<const CompileSettings> settings) {
  const auto job = std::make_shared<Job>();
  const fs::path file = path_in_project(source, *settings);
  const auto last_dot = module.rfind('.');
  job->source = source;
  job->module = module;
  job->subject = fmt::format("{} {}", module, file.string());
  job->file =
      fmt::format("{} {}", last_dot == std::string::npos ? module : module.substr(last_dot + 1),
                  file.filename().string());
  job->id = module_id(file, settings->project, module);
  job->folder = settings->work / (as_identifier(source.recorded.source.stem()) + "-" +
                                  hex8(module + "\n" + file.string()));
  job->settings = std::move(settings);
  set_arguments(*job);
  job->scope = search_scope(*job);
  return job;
}

void take_apart(Job& job) {
  if (!job.is_cuda() || !job.opaque.empty()) return;
  const auto [run, reason, programs] =
      dry_run(job.argv, job.source.recorded.source, job.source.recorded.cwd);
  job.programs = programs;
  auto layout = run ? canonical_layout(*run) : LayoutOutcome{{}, reason};
  job.opaque = layout.reason;
  job.layout = std::move(layout.layout);
  job.path = job.layout.path;
  if (job.opaque.empty()) job.opaque = other_architectures(job.layout, job.source.targets);
  if (run)
    for (const auto& message : run->messages)
      job.settings->reporter->detail(job.subject + ": " + message);
}

}  // namespace nvcc
}  // namespace sagebuild
