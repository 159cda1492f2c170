#include "record_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// Raise it when a recording holds more or other things than before.
constexpr std::string_view kRecording = "3";
// What stands for folders that lie elsewhere in the next run.
constexpr const char* kProjectName = "{sagebuild:project}";
constexpr const char* kWorkName = "{sagebuild:work}";

bool is_made_by_setuptools(const fs::path& name, bool at_top) {
  if (name == "__pycache__" || name == ".git") return true;
  return at_top && (name == "build" || name == "dist" || name.extension() == ".egg-info");
}

// Sorted, so that the order of a folder's entries does not matter.
std::set<fs::path> tree_files(const fs::path& root) {
  std::set<fs::path> files;
  for (fs::recursive_directory_iterator entry(root), end; entry != end; ++entry) {
    if (is_made_by_setuptools(entry->path().filename(), entry.depth() == 0)) {
      entry.disable_recursion_pending();
    } else if (entry->is_symlink() || !entry->is_directory()) {
      files.insert(entry->path());
    }
  }
  return files;
}

// Every distribution with the digest of its RECORD, which lists its files with theirs; and path files, which add
// folders.
Digest installed(const fs::path& site_packages, ActionCache& cache) {
  std::set<fs::path> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(site_packages, ignored)) names.insert(entry.path());
  Sha256 hasher;
  for (const fs::path& path : names) {
    const fs::path kind = path.extension();
    if (kind != ".dist-info" && kind != ".egg-info" && kind != ".egg-link" && kind != ".pth") continue;
    const fs::path content = fs::is_directory(path) ? path / "RECORD" : path;
    hasher.field(path.filename().string());
    hasher.field(fs::is_regular_file(content) ? cache.file_digest(content).hex() : "");
  }
  return hasher.finish();
}

// setup.py may ask for the GPU's compute capability.
std::string gpus() {
  std::vector<std::string> texts;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc/driver/nvidia/gpus", ignored)) {
    const std::string text = read_file_if_exists(entry.path() / "information").value_or("");
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
  return fs::path(home->second) / ".local/lib" / fmt::format("python{}", version.major_minor()) / "site-packages";
}

constexpr const char* kReadsVariable = "SAGEBUILD_READS";

fs::path listener_folder() { return data_folder() / "patches/probe"; }

// Programs of which all that counts is in the key, or which tell of the machine. git finds nothing in the copy.
bool is_known_program(const fs::path& program, const fs::path& host_compiler) {
  static const std::set<std::string, std::less<>> kKnown = {"ninja", "nvcc", "g++",  "gcc",     "c++",   "cc",   "ld",
                                                            "git",   "which", "uname", "ldconfig", "objdump"};
  return kKnown.contains(program.filename().native()) || program.filename() == host_compiler.filename();
}

// What the hook wrote down. `problem` says why it is not enough.
struct Reads {
  std::set<fs::path> files;  // and folders
  std::vector<std::string> absent;
  std::string problem;
};

// `stands_for`: a folder of ours and the one whose files are read through it.
Reads read_list(const fs::path& list, const std::vector<fs::path>& own, const fs::path& host_compiler,
                const std::pair<fs::path, fs::path>& stands_for) {
  Reads reads;
  std::set<fs::path> written, read;
  std::size_t begun = 0, started = 0;
  const std::string text = read_file_if_exists(list).value_or("");
  for (const std::string_view record : split(text, std::string_view("\0", 1))) {
    fs::path name = record.substr(1);
    if (name == stands_for.first || name.native().starts_with(stands_for.first.native() + "/"))
      name = (stands_for.second / name.lexically_relative(stands_for.first)).lexically_normal();
    switch (record.front()) {
      case 'b': ++begun; break;
      case 'p': ++started; break;
      case 'w': written.insert(name); break;
      case 'r':
      case 'l': read.insert(name); break;
      default:
        if (!is_known_program(name, host_compiler))
          reads.problem = fmt::format("it starts '{}', whose files are not known", name.string());
    }
  }
  if (!text.ends_with('\0') || begun < (started > 0 ? 2U : 1U))
    reads.problem = "which files it reads was not written down";
  for (const fs::path& path : read) {
    const auto is_below = [&](const fs::path& folder) {
      return path == folder || path.native().starts_with(folder.native() + "/");
    };
    if (std::ranges::any_of(own, is_below) || written.contains(path)) continue;
    std::error_code ignored;
    const fs::file_status status = fs::status(path, ignored);
    if (fs::is_regular_file(status) || fs::is_directory(status)) reads.files.insert(path);
    else if (!fs::exists(status)) reads.absent.push_back(path.string());
  }
  return reads;
}

// Of the run as an action of direct mode: nothing is searched, and the names are those of this machine.
SearchScope no_search() {
  SearchScope scope;
  scope.preprocessed = false;
  return scope;
}

}  // namespace

Digest tree_digest(const fs::path& root) {
  Sha256 hasher;
  for (const fs::path& path : tree_files(root)) {
    hasher.field(path.lexically_relative(root).generic_string());
    const fs::file_status status = fs::symlink_status(path);
    if (fs::is_symlink(status)) {
      hasher.field("link").field(fs::read_symlink(path).string());
    } else {
      const bool executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
      hasher.field(executable ? "program" : "file").field(sha256_file(path).hex());
    }
  }
  return hasher.finish();
}

RecordCache::RecordCache(const RecordSettings& settings, const Command& command, const PythonEnv& python,
                         const Toolchain& toolchain, ActionCache& cache)
    : settings_(settings), cache_(cache), tree_(tree_digest(settings.project)), key_("setup.py", "setup.py") {
  key_.add("recording", kRecording).add("tree", tree_).add("command", with_names(shell_line(command.argv)));
  for (const auto& [name, value] : command.env) key_.add("environment " + name, with_names(value));
  key_.add("python", python.executable.string()).add("python version", python.version).add("soabi", python.soabi);
  key_.add("site packages", python.site_packages.string()).add("installed", installed(python.site_packages, cache));
  key_.add("installed for the user", installed(user_site(python, command.env), cache));
  key_.add("listener", cache.file_digest(listener_folder() / "sitecustomize.py"));
  const fs::path profile = toolchain.nvcc.parent_path() / "nvcc.profile";
  key_.add("nvcc.profile", fs::is_regular_file(profile) ? cache.file_digest(profile).hex() : "");
  host_compiler_ = toolchain.host_compiler;
  cuda_home_ = toolchain.cuda_home;
  key_.add("nvcc", toolchain.nvcc.string()).add("nvcc content", cache.file_digest(toolchain.nvcc));
  key_.add("host compiler", toolchain.host_compiler.string());
  key_.add("host compiler content", cache.file_digest(toolchain.host_compiler));
  key_.add("gpus", gpus());
}

// The longer path first: one may lie in the other.
std::string RecordCache::with_names(std::string text) const {
  std::vector<std::pair<std::string, std::string>> paths = {{settings_.project.string(), kProjectName},
                                                            {settings_.work.string(), kWorkName}};
  std::ranges::sort(paths, std::greater(), [](const auto& entry) { return entry.first.size(); });
  for (const auto& [path, name] : paths) text = replaced(std::move(text), path, name);
  return text;
}

std::string RecordCache::with_paths(std::string text) const {
  text = replaced(std::move(text), kProjectName, settings_.project.string());
  return replaced(std::move(text), kWorkName, settings_.work.string());
}

fs::path RecordCache::reads() const { return settings_.work / "reads"; }

Command RecordCache::listening(Command command) const {
  std::string& path = command.env["PYTHONPATH"];
  path = listener_folder().string() + (path.empty() ? "" : ":" + path);
  command.env[kReadsVariable] = reads().string();
  return command;
}

bool RecordCache::restore() {
  const auto result = cache_.lookup_by_files(key_, no_search());
  if (!result || !result->facts.contains("wheel")) return false;
  const fs::path packed = settings_.work / "records.json";
  const fs::path wheel = settings_.work / "wheel" / fs::path(result->facts.at("wheel")).filename();
  if (!cache_.materialize(*result, {{"records", packed}, {"wheel", wheel}})) return false;
  const Json records = Json::parse(read_file(packed));
  for (const auto& [name, text] : records.items()) {
    const std::string here = with_paths(text.get<std::string>());
    write_file(settings_.work / "records" / fs::path(name).filename(), here);
    make_folders(Json::parse(here).at("cwd").get<std::string>());  // where its commands will run
  }
  return true;
}

void RecordCache::keep(const ProcessResult& run, ActionCache::Clock::time_point started, Reporter& report) {
  if (tree_digest(settings_.project) != tree_) {
    report.detail("setup.py wrote into its own tree, so its run is not kept in the cache");
    return;
  }
  const std::vector<fs::path> own = {settings_.project, settings_.work, listener_folder(), "/proc", "/sys", "/dev"};
  Reads read = read_list(reads(), own, host_compiler_, {cuda_stand_in(settings_), cuda_home_});
  if (!read.problem.empty()) {
    report.detail(fmt::format("the run of setup.py is not kept in the cache: {}", read.problem));
    return;
  }
  Json records = Json::object();
  for (const auto& entry : fs::directory_iterator(settings_.work / "records"))
    records[entry.path().filename().string()] = with_names(read_file(entry.path()));
  std::vector<fs::path> wheels;
  for (const auto& entry : fs::directory_iterator(settings_.work / "wheel")) wheels.push_back(entry.path());
  if (wheels.size() != 1) return;  // the caller says so
  const fs::path packed = settings_.work / "records.json";
  write_file(packed, records.dump());
  ActionResult result;
  result.facts["wheel"] = wheels.front().filename().string();
  result.cpu_seconds = run.cpu_seconds;
  result.wall_seconds = run.wall_seconds;
  result.peak_memory = run.peak_memory;
  SearchScope scope = no_search();
  scope.asked = std::move(read.absent);
  cache_.store_by_files(key_, scope, {read.files.begin(), read.files.end()}, started,
                        {{"records", packed}, {"wheel", wheels.front()}}, std::move(result));
}

}  // namespace sagebuild
