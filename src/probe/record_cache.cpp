#include "record_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/probe/setup_environment.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/sys/worker_pool.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Raise it when a recording holds more or other things than before.
constexpr std::string_view kRecording = "4";

bool is_made_by_setuptools(const fs::path& name, bool at_top) {
  if (name == "__pycache__" || name == ".git") return true;
  return at_top && (name == "build" || name == "dist" || name.extension() == ".egg-info");
}

// Sorted, so that the order of a folder's entries does not matter.
void add_tree_files(const fs::path& folder, bool at_top, std::set<fs::path>& files) {
  for (const fs::path& path : entries_of(folder)) {
    if (is_made_by_setuptools(path.filename(), at_top)) continue;
    if (!is_link(path) && is_folder(path))
      add_tree_files(path, false, files);
    else
      files.insert(path);
  }
}

// Every distribution with the digest of its RECORD, which lists its files with theirs; and path
// files, which add folders.
Digest installed(const fs::path& site_packages, ActionCache& cache) {
  Sha256 hasher;
  for (const fs::path& path : entries_if_readable(site_packages)) {
    const fs::path kind = path.extension();
    if (kind != ".dist-info" && kind != ".egg-info" && kind != ".egg-link" && kind != ".pth")
      continue;
    const fs::path content = is_folder(path) ? path / "RECORD" : path;
    hasher.field(path.filename().string());
    hasher.field(is_file(content) ? cache.file_digest(content).hex() : "");
  }
  return hasher.finish();
}

// setup.py may ask for the GPU's compute capability.
std::string gpus() {
  std::vector<std::string> texts;
  for (const fs::path& gpu : entries_if_readable("/proc/driver/nvidia/gpus")) {
    const std::string text = read_file_if_exists(gpu / "information").value_or("");
    for (const auto line : lines_of(text)) {
      if (line.starts_with("Model:")) texts.emplace_back(line);
    }
  }
  std::ranges::sort(texts);
  return join(texts, "\n");
}

fs::path user_site(const PythonEnv& python, const Environment& env) {
  const auto home = env.find("HOME");
  if (home == env.end()) return {};
  const Version version = parse_version(python.version).value_or(Version{});
  return fs::path(home->second) / ".local/lib" / fmt::format("python{}", version.major_minor()) /
         "site-packages";
}

constexpr const char* kReadsVariable = "SAGEBUILD_READS";

fs::path listener_folder() { return data_folder() / "patches/probe"; }

// Programs of which all that counts is in the key, or which tell of the machine. What git says is
// in the key, too.
bool is_known_program(const fs::path& program, const fs::path& host_compiler) {
  static const std::set<std::string, std::less<>> kKnown = {
      "ninja", "nvcc", "g++",   "gcc",   "c++",      "cc",
      "ld",    "git",  "which", "uname", "ldconfig", "objdump"};
  return kKnown.contains(program.filename().native()) ||
         program.filename() == host_compiler.filename();
}

// What the hook wrote down. `problem` says why it is not enough.
struct Reads {
  std::set<fs::path> files;        // and folders
  std::vector<std::string> asked;  // whether they exist
  std::string problem;
};

// `stands_for`: a folder of ours and the one whose files are read through it.
Reads read_list(const fs::path& list, const std::vector<fs::path>& own,
                const fs::path& host_compiler, const std::pair<fs::path, fs::path>& stands_for) {
  Reads reads;
  std::set<fs::path> written, read, asked;
  std::size_t begun = 0, started = 0;
  const std::string text = read_file_if_exists(list).value_or("");
  for (const std::string_view record : split(text, std::string_view("\0", 1))) {
    fs::path name = record.substr(1);
    if (is_below(name, stands_for.first))
      name = (stands_for.second / name.lexically_relative(stands_for.first)).lexically_normal();
    switch (record.front()) {
      case 'b':
        ++begun;
        break;
      case 'p':
        ++started;
        break;
      case 'w':
        written.insert(name);
        break;
      case 'e':
        break;
      case 'r':
      case 'l':
        read.insert(name);
        break;
      case 's':
        asked.insert(name);
        break;
      case 'X':
        reads.problem =
            fmt::format("it starts '{}', which reads files that are not known", name.string());
        break;
      default:
        if (!is_known_program(name, host_compiler))
          reads.problem = fmt::format("it starts '{}', whose files are not known", name.string());
    }
  }
  if (!text.ends_with('\0') || begun < (started > 0 ? 2U : 1U))
    reads.problem = "which files it reads was not written down";
  const auto is_own = [&](const fs::path& path) {
    return written.contains(path) ||
           std::ranges::any_of(own, [&](const fs::path& folder) { return is_below(path, folder); });
  };
  const auto holds_own = [&](const fs::path& path) {  // another folder in the next run
    return std::ranges::any_of(own, [&](const fs::path& one) { return is_below(one, path); });
  };
  for (const fs::path& path : asked)
    if (!is_own(path) && !holds_own(path) && !read.contains(path))
      reads.asked.push_back(path.string());
  for (const fs::path& path : read) {
    if (is_own(path)) continue;
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    if (fs::is_regular_file(status) || fs::is_directory(status))
      reads.files.insert(path);
    else if (!fs::exists(status))
      reads.asked.push_back(path.string());
  }
  return reads;
}

// Whether a text with mapped paths serves a build in other folders, and is the same text in these.
bool lies_anywhere(const std::string& mapped, const std::string& text, const PathRoots& roots) {
  return with_unmapped_paths(mapped, roots) == text &&
         std::ranges::none_of(roots, [&](const auto& root) {
           return mapped.find(root.second.native()) != std::string::npos;
         });
}

// Of the run as an action of direct mode: nothing is searched, and the names are those of this
// machine.
SearchScope no_search() {
  SearchScope scope;
  scope.preprocessed = false;
  return scope;
}

}  // namespace

Digest tree_digest(const fs::path& root) {
  Sha256 hasher;
  std::set<fs::path> files;
  add_tree_files(root, true, files);
  for (const fs::path& path : files) {
    hasher.field(path.lexically_relative(root).generic_string());
    if (is_link(path)) {
      hasher.field("link").field(link_target(path).string());
    } else {
      std::error_code ignored;  // a file that cannot be read fails when it is
      const fs::file_status status = fs::status(path, ignored);
      const bool executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
      hasher.field(executable ? "program" : "file").field(sha256_file(path).hex());
    }
  }
  return hasher.finish();
}

RecordCache::RecordCache(const RecordSettings& settings, const Command& command,
                         const PythonEnv& python, const Toolchain& toolchain, ActionCache& cache)
    : settings_(settings),
      cache_(cache),
      tree_(tree_digest(settings.project)),
      roots_{{"tree", settings.project}, {"work", settings.work}},
      key_("setup.py", "setup.py") {
  key_.add("recording", kRecording)
      .add("tree", tree_)
      .add("command", with_mapped_paths(shell_line(command.argv), roots_));
  // The inputs of keys lie in files of the cache, for --explain.
  for (const auto& [name, value] : command.env) {
    key_.add("environment " + name, is_secret_variable(name) ? Sha256().field(value).finish().hex()
                                                             : with_mapped_paths(value, roots_));
  }
  key_.add("git", settings.git);
  key_.add("python", python.executable.string())
      .add("python version", python.version)
      .add("soabi", python.soabi);
  key_.add("site packages", python.site_packages.string())
      .add("installed", installed(python.site_packages, cache));
  key_.add("installed for the user", installed(user_site(python, command.env), cache));
  key_.add("listener", cache.file_digest(listener_folder() / "sitecustomize.py"));
  const fs::path profile = toolchain.nvcc.parent_path() / "nvcc.profile";
  key_.add("nvcc.profile", is_file(profile) ? cache.file_digest(profile).hex() : "");
  host_compiler_ = toolchain.host_compiler;
  cuda_home_ = toolchain.cuda_home;
  key_.add("nvcc", toolchain.nvcc.string()).add("nvcc content", cache.file_digest(toolchain.nvcc));
  key_.add("host compiler", toolchain.host_compiler.string());
  key_.add("host compiler content", cache.file_digest(toolchain.host_compiler));
  key_.add("gpus", gpus());
}

fs::path RecordCache::reads() const { return settings_.work / "reads"; }

Command with_hook(Command command) {
  std::string& path = command.env["PYTHONPATH"];
  path = listener_folder().string() + (path.empty() ? "" : ":" + path);
  return command;
}

Command RecordCache::listening(Command command) const {
  command = with_hook(std::move(command));
  command.env[kReadsVariable] = reads().string();
  return command;
}

std::vector<std::string> RecordCache::variables() const {
  std::set<std::string> names;
  if (restored_variables_) {
    for (const auto name : split(*restored_variables_, " ")) names.emplace(name);
  } else {
    const std::string text = read_file_if_exists(reads()).value_or("");
    for (const std::string_view record : split(text, std::string_view("\0", 1)))
      if (record.front() == 'e') names.emplace(record.substr(1));
  }
  return {names.begin(), names.end()};
}

bool RecordCache::restore() {
  const auto result = cache_.lookup_by_files(key_, no_search());
  if (!result || !result->facts.contains("wheel") || !result->facts.contains("variables"))
    return false;
  const fs::path packed = settings_.work / "records.json";
  const fs::path wheel = settings_.work / "wheel" / fs::path(result->facts.at("wheel")).filename();
  if (!cache_.materialize(*result, {{"records", packed}, {"wheel", wheel}})) return false;
  restored_variables_ = result->facts.at("variables");
  const Json records = Json::parse(read_file(packed));
  for (const auto& [name, text] : records.items()) {
    const std::string here = with_unmapped_paths(text.get<std::string>(), roots_);
    write_file(settings_.work / "records" / fs::path(name).filename(), here);
    make_folders(Json::parse(here).at("cwd").get<std::string>());  // where its commands will run
  }
  return true;
}

namespace {

// `import torch` reads 3 GB of libraries: 3 s on one core. The cache remembers their digests.
void hash_beside_each_other(const std::vector<fs::path>& files, unsigned jobs, ActionCache& cache) {
  std::vector<std::future<void>> running;
  WorkerPool pool(jobs);
  for (const fs::path& file : files) {
    running.push_back(pool.submit([&cache, &file] {
      try {
        (void)cache.file_digest(file);
      } catch (const Error&) {
        // A folder, or gone: the cache says what becomes of it.
      }
    }));
  }
  for (auto& one : running) {
    one.get();
    throw_if_interrupted();  // what has not begun is dropped
  }
}

}  // namespace

void RecordCache::keep(const ProcessResult& run, ActionCache::Clock::time_point started,
                       Reporter& report) {
  if (tree_digest(settings_.project) != tree_) {
    report.detail("setup.py wrote into its own tree, so its run is not kept in the cache");
    return;
  }
  const std::vector<fs::path> own = {settings_.project, settings_.work, listener_folder(),
                                     "/proc",           "/sys",         "/dev"};
  Reads read = read_list(reads(), own, host_compiler_, {cuda_stand_in(settings_), cuda_home_});
  if (!read.problem.empty()) {
    report.detail(fmt::format("the run of setup.py is not kept in the cache: {}", read.problem));
    return;
  }
  Json records = Json::object();
  for (const fs::path& path : entries_of(settings_.work / "records")) {
    const std::string text = read_file(path);
    const std::string mapped = with_mapped_paths(text, roots_);
    if (!lies_anywhere(mapped, text, roots_)) {
      report.detail(
          "the run of setup.py is not kept in the cache: a command names this build's folders in a "
          "way that cannot be carried to another");
      return;
    }
    records[path.filename().string()] = mapped;
  }
  const std::vector<fs::path> wheels = entries_of(settings_.work / "wheel");
  if (wheels.size() != 1) return;  // the caller says so
  const fs::path packed = settings_.work / "records.json";
  write_file(packed, records.dump());
  ActionResult result;
  result.facts["wheel"] = wheels.front().filename().string();
  result.facts["variables"] = join(variables(), " ");
  result.cpu_seconds = run.cpu_seconds;
  result.wall_seconds = run.wall_seconds;
  result.peak_memory = run.peak_memory;
  SearchScope scope = no_search();
  scope.asked = std::move(read.asked);
  const std::vector<fs::path> files(read.files.begin(), read.files.end());
  hash_beside_each_other(files, settings_.jobs, cache_);
  cache_.store_by_files(key_, scope, files, started,
                        {{"records", packed}, {"wheel", wheels.front()}}, std::move(result));
}

}  // namespace sagebuild
