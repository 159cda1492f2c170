#include "sagebuild/link/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "portable.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/path_roots.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/link/stubs.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "symbols.hpp"
#include "words.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr std::string_view kUndefined = "undefined symbol";

// The files of a rule as GNU ld writes it: one to a line, as they were opened; it quotes nothing.
std::vector<fs::path> listed_inputs(std::string_view rule) {
  std::vector<fs::path> files;
  for (std::string_view line : lines_of(rule)) {
    if (!take_prefix(line, "  ")) continue;
    if (line.ends_with(" \\")) line.remove_suffix(2);
    files.emplace_back(line);
  }
  return files;
}

class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(const PlannedModule& module, const LinkObjects& objects, const fs::path& bridge,
       fs::path output, const std::string& name, std::shared_ptr<const LinkSettings> settings)
      : module_(module),
        settings_(std::move(settings)),
        folder_(settings_->work / name),
        output_(std::move(output)) {
    auto [argv, dropped] =
        linking::portable(linking::expanded(module_.link, module_.link_cwd), module_.link_cwd);
    argv_ = std::move(argv);
    run_paths_ = {dropped.begin(), dropped.end()};
    *(std::ranges::find(argv_, "-o") + 1) = linked().string();
    place_objects(objects, bridge);
    fixed_names_[linked().string()] = "module";
    if (!settings_->driver_stubs.empty()) insert_stubs(argv_, settings_->driver_stubs);
    if (!dropped.empty())
      settings_->reporter->warning(fmt::format(
          "{} gets no run path to {}, a folder of this machine: where its libraries lie, "
          "LD_LIBRARY_PATH has to say when it is imported",
          module_.name, join(dropped, ", ")));
    words_ = linking::link_words(argv_, module_.link_cwd, fixed_names_, settings_->roots);
  }

  Step step() {
    auto self = shared_from_this();
    Step step;
    step.stage = Stage::module;
    step.subject = module_.name;
    step.label = fmt::format("module {}", module_.name);
    step.folder = folder_ / "objects";
    step.inputs = inputs_;
    step.key = [self] { return self->key(); };
    step.scope = scope();
    step.files_read = [self] { return self->files_read(); };
    step.outputs = {{"module", output_}};
    step.expand = [self](const StepFailure* failure) {
      return failure == nullptr ? std::optional(self->steps()) : std::nullopt;
    };
    step.check = [self] { self->check(); };
    return step;
  }

 private:
  fs::path linked() const { return folder_ / "link" / output_.filename(); }
  fs::path inputs_file() const { return folder_ / "link" / "inputs.d"; }
  fs::path made_stubs() const { return folder_ / "link" / "stubs"; }
  bool cached() const { return settings_->lists_inputs && words_.unknown.empty(); }

  // Every object is a copy below a name that is the same in every build. A script may choose
  // sections by file name.
  void place_objects(const LinkObjects& objects, const fs::path& bridge) {
    for (std::string& word : argv_) {
      const auto object = objects.find((module_.link_cwd / word).lexically_normal());
      if (object == objects.end()) continue;
      const fs::path name = fs::path(std::to_string(inputs_.size())) / object->first.filename();
      word = place(object->second, name);
    }
    if (bridge.empty()) return;
    const auto first =
        std::ranges::find_if(argv_, [&](const auto& word) { return fixed_names_.contains(word); });
    argv_.insert(first, place(bridge, fs::path("bridge") / bridge.filename()));
  }

  std::string place(const fs::path& object, const fs::path& name) {
    inputs_.push_back({object, name});
    const std::string word = folder_ / "objects" / name;
    fixed_names_[word] = "object " + name.string();
    return word;
  }

  // The driver's library is not on a build machine: a stub with the same soname stands in.
  static void insert_stubs(Words& argv, const fs::path& stubs) {
    const auto libcuda = std::ranges::find(argv, "-lcuda");
    if (libcuda != argv.end()) argv.insert(libcuda, "-L" + stubs.string());
  }
  bool makes_stubs() const {
    return settings_->driver_stubs.empty() && std::ranges::find(argv_, "-lcuda") != argv_.end();
  }
  Words stub_symbols() const {
    Words symbols;
    for (const StepInput& input : inputs_)
      std::ranges::move(undefined_symbols(folder_ / "objects" / input.name),
                        std::back_inserter(symbols));
    return driver_symbols(symbols);
  }

  SearchScope scope() const {
    SearchScope scope{
        .roots = settings_->roots, .include_folders = words_.folders, .asked = words_.asked};
    for (const fs::path& folder : settings_->library_folders)
      scope.include_folders.push_back(folder);
    return scope;
  }

  std::optional<ActionKey> key() const {
    if (!words_.unknown.empty())
      settings_->reporter->note(
          fmt::format("{} is linked in every build, since {}", module_.name, words_.unknown));
    if (!cached()) return std::nullopt;
    ActionKey key("link", module_.name);
    key.add("command", words_.key);
    for (const StepInput& input : inputs_)
      key.add(input.name.string(), settings_->cache->file_digest(folder_ / "objects" / input.name));
    key.add("tools", settings_->tools);
    if (makes_stubs()) key.add("stub of libcuda", stub_symbols());
    // The linker looks there for what libraries need in turn.
    const Environment env = clean_environment();
    if (const auto folders = env.find("LD_LIBRARY_PATH"); folders != env.end())
      key.add("LD_LIBRARY_PATH", folders->second);
    return key;
  }

  StepGraph steps() {
    auto self = shared_from_this();
    Step link{.stage = Stage::link,
              .subject = module_.name,
              .label = fmt::format("link {}", module_.name)};
    link.folder = folder_ / "link";
    for (const StepInput& input : inputs_) link.reads.push_back(folder_ / "objects" / input.name);
    link.writes = {linked()};
    link.command = [self] { return self->link_command(); };
    Step strip{.stage = Stage::strip,
               .subject = module_.name,
               .label = fmt::format("strip {}", module_.name)};
    strip.after = {0};
    strip.folder = folder_ / "strip";
    strip.reads = {linked()};
    strip.writes = {output_};
    strip.command = [self] {
      make_folders(self->output_.parent_path());
      return Command{.argv = {"strip", "--strip-unneeded", "-o", self->output_.string(),
                              self->linked().string()}};
    };
    return {std::move(link), std::move(strip)};
  }

  Command link_command() const {
    Command command{.argv = argv_, .cwd = module_.link_cwd};
    const fs::path temporary = folder_ / "link" / "tmp";
    make_folders(temporary);
    command.env["TMPDIR"] = temporary;
    if (makes_stubs())
      insert_stubs(command.argv,
                   libcuda_stub(stub_symbols(), made_stubs(), settings_->host_compiler));
    if (cached()) command.argv.push_back("-Wl,--dependency-file=" + inputs_file().string());
    return command;
  }

  // Without our own files: the key has their content.
  std::vector<fs::path> linker_read() const {
    std::vector<fs::path> files;
    if (!cached()) return files;
    for (const fs::path& file : listed_inputs(read_file(inputs_file()))) {
      fs::path absolute = module_.link_cwd / file;
      if (!is_below(absolute, folder_)) files.push_back(std::move(absolute));
    }
    return files;
  }

  std::vector<fs::path> files_read() const {
    std::set<fs::path> files(words_.files.begin(), words_.files.end());
    files.insert(providers_.begin(), providers_.end());
    for (fs::path& file : linker_read()) files.insert(std::move(file));
    return {files.begin(), files.end()};
  }

  void check() {
    if (!settings_->tools_unchanged())
      throw Error(ErrorKind::failed,
                  fmt::format("the toolkit was replaced while '{}' was built", module_.name), {},
                  "run the build again");
    if (const std::string why = linking::unportable(output_); !why.empty())
      throw Error(ErrorKind::failed,
                  fmt::format("module '{}' is not fit for other machines: {}", module_.name, why),
                  {}, "take what asks for it out of the compiler's own options (specs, wrappers)");
    linking::Providers providers{.linked = linker_read(),
                                 .folders = words_.folders,
                                 .files = settings_->provider_files,
                                 .others = settings_->provider_folders};
    if (makes_stubs()) providers.folders.push_back(made_stubs());
    providers.folders.insert(providers.folders.end(), run_paths_.begin(), run_paths_.end());
    for (const auto& more : {settings_->library_folders, settings_->provider_folders})
      providers.folders.insert(providers.folders.end(), more.begin(), more.end());
    auto [missing, found] = linking::search_symbols(output_, providers);
    if (!missing.empty()) refuse(missing);
    std::erase_if(found, [&](const fs::path& file) { return is_below(file, folder_); });
    providers_ = std::move(found);
  }

  [[noreturn]] void refuse(const Words& missing) const {
    constexpr std::size_t kMostShown = 20;
    Words causes;
    for (const std::string& symbol : missing) {
      if (causes.size() == kMostShown) break;
      causes.push_back(fmt::format("no library exports '{}'", demangled(symbol)));
    }
    if (missing.size() > kMostShown)
      causes.push_back(fmt::format("and {} more", missing.size() - kMostShown));
    throw Error(ErrorKind::failed,
                fmt::format("module '{}' cannot be imported: {} '{}'", module_.name, kUndefined,
                            demangled(missing.front())),
                std::move(causes),
                "add the source that defines it to the extension, or the library that does to its "
                "'libraries'");
  }

  PlannedModule module_;
  std::shared_ptr<const LinkSettings> settings_;
  fs::path folder_;
  fs::path output_;
  Words argv_;
  std::vector<StepInput> inputs_;
  // Of the words for the objects and the module
  std::map<std::string, std::string> fixed_names_;
  linking::LinkWords words_;
  std::vector<fs::path> run_paths_;  // that were asked for and are left out
  std::vector<fs::path> providers_;  // that the module's symbols were found in
};

}  // namespace

Step link_step(const PlannedModule& module, const LinkObjects& objects, const fs::path& bridge,
               const fs::path& output, const std::string& name,
               std::shared_ptr<const LinkSettings> settings) {
  return std::make_shared<Link>(module, objects, bridge, output, name, std::move(settings))->step();
}

std::optional<std::string> misfit_of_objects(const StepFailure& failure) {
  for (const auto line : lines_of(failure.reason))
    for (const std::string_view sign : {kUndefined, std::string_view("undefined reference"),
                                        std::string_view("multiple definition")})
      if (line.find(sign) != std::string_view::npos) return std::string(line);
  return std::nullopt;
}

}  // namespace sagebuild
