#include "sagebuild/nvcc/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

enum class Act { keep, strip, note, opaque };

struct Option {
  bool takes_value = false;
  Act act = Act::keep;
};

// nvcc's options by name without dashes (`nvcc --help`, 12.4 to 13.5). One that is not here goes to
// plain nvcc.
const std::map<std::string_view, Option>& options() {
  static const std::map<std::string_view, Option> table = [] {
    std::map<std::string_view, Option> all;
    const auto add = [&](Option option, std::string_view names) {
      for (const auto name : split(names, " ")) all[name] = option;
    };
    add({true, Act::keep},
        "define-macro D undefine-macro U include-path I system-include isystem pre-include include "
        "compiler-options Xcompiler fatbin-options Xfatbin ptxas-options Xptxas Xcudafe "
        "archive-options Xarchive "
        "linker-options "
        "Xlinker nvlink-options Xnvlink library l library-path L optimize O maxrregcount ftz "
        "prec-div "
        "prec-sqrt fmad compiler-bindir ccbin default-stream Werror diag-suppress diag-error "
        "diag-warn "
        "machine m compress-mode cudart cudadevrt x Ofast-compile Ofc dopt "
        "static-global-template-stub "
        "device-entity-has-hidden-visibility options-file optf frandom-seed");
    add({false, Act::keep},
        "generate-line-info lineinfo use_fast_math extra-device-vectorization "
        "expt-relaxed-constexpr "
        "expt-extended-lambda extended-lambda allow-unsupported-compiler allow-unsupported-libcxx "
        "m64 "
        "display-error-number no-display-error-number disable-warnings w restrict no-compress "
        "forward-unknown-to-host-compiler forward-unknown-opts brief-diagnostics "
        "Wno-deprecated-gpu-targets Wno-deprecated-declarations Wreorder Wdefault-stream-launch "
        "Wext-lambda-captures-this no-exceptions profile pg no-host-device-initializer-list "
        "no-host-device-move-forward disable-optimizer-constants disopt-consts "
        "simt-only");
    // One scheduler over everything replaces these; the debug information of host code is stripped
    // from modules anyway.
    add({true, Act::strip},
        "threads t dependency-output MF dependency-target-name MT MQ keep-dir generate-code "
        "gencode "
        "gpu-architecture arch gpu-code code std objdir-as-tempdir-name split-compile");
    add({false, Act::strip},
        "generate-dependencies-with-compile MD generate-nonsystem-dependencies-with-compile MMD "
        "generate-dependency-targets MP keep save-temps verbose v jobserver debug g ggdb "
        "objdir-as-tempdir "
        "objtemp clean-targets compile c");
    add({true, Act::note}, "time fdevice-time-trace");
    add({true, Act::opaque},
        "relocatable-device-code rdc device-debug-level split-compile-extended run-args "
        "gen-opt-lto "
        "lto-arch target-directory input-drive-prefix dependency-drive-prefix");
    add({false, Act::opaque},
        "device-debug G device-c dc device-w dw device-link dlink dlink-time-opt dlto ptx cubin "
        "fatbin "
        "optix-ir ltoir preprocess E generate-dependencies M cuda lib link run shared "
        "resource-usage "
        "res-usage source-in-ptx src-in-ptx dryrun use-local-env extensible-whole-program ewp");
    return all;
  }();
  return table;
}

// Short options whose value may stand in the same word: -DX=1, -O3, -m64, -t8.
constexpr std::string_view kAttached = "DUIlLOmt";

struct Found {
  std::string name;
  std::optional<Option> option;
  bool value_inside = false;
  std::string value;
};

Found find_option(std::string_view word) {
  std::string_view bare = word;
  if (!take_prefix(bare, "--")) take_prefix(bare, "-");
  Found found;
  found.name = bare;
  if (const auto whole = options().find(bare); whole != options().end()) {
    found.option = whole->second;
    return found;
  }
  const auto equals = bare.find('=');
  if (const auto named = options().find(bare.substr(0, equals));
      equals != std::string_view::npos && named != options().end()) {
    return {std::string(bare.substr(0, equals)), named->second, true,
            std::string(bare.substr(equals + 1))};
  }
  if (!word.starts_with("--") && kAttached.find(bare.front()) != std::string_view::npos) {
    return {std::string(bare.substr(0, 1)), options().at(bare.substr(0, 1)), true,
            std::string(bare.substr(1))};
  }
  return found;
}

// "-v,-O2" without the reports; they reach the cubin's note.
std::string without_reports(std::string_view values, bool& removed) {
  std::vector<std::string> kept;
  for (const auto value : split(values, ",")) {
    if (value == "-v" || value == "--verbose")
      removed = true;
    else
      kept.emplace_back(value);
  }
  return join(kept, ",");
}

class Normaliser {
 public:
  explicit Normaliser(const Words& words) : words_(words) {}

  NvccArguments run() {
    result_.argv.push_back(words_.front());
    for (at_ = 1; at_ < words_.size(); ++at_) take();
    return std::move(result_);
  }

 private:
  void take() {
    const std::string& word = words_[at_];
    if (word.size() < 2 || word[0] != '-')
      return refuse(fmt::format("more than one input file ('{}')", word));
    Found found = find_option(word);
    if (!found.option)
      return refuse(fmt::format("'{}' is an option that sagebuild does not know", word));
    Words taken = {word};
    if (found.option->takes_value && !found.value_inside) {
      if (at_ + 1 == words_.size()) return refuse(fmt::format("'{}' has no value", word));
      found.value = words_[++at_];
      taken.push_back(found.value);
    }
    act(found, taken);
  }

  void act(const Found& found, const Words& taken) {
    if (found.name == "rdc" || found.name == "relocatable-device-code") {
      if (found.value != "false") refuse("relocatable device code needs nvcc's own device link");
      return;
    }
    switch (found.option->act) {
      case Act::keep:
        return keep(found, taken);
      case Act::strip:
        return;
      case Act::note:
        result_.dropped.push_back(join(taken, " "));
        return;
      case Act::opaque:
        return refuse(fmt::format("'{}' changes the shape of the compile", join(taken, " ")));
    }
  }

  void keep(const Found& found, const Words& taken) {
    if (found.name == "Xptxas" || found.name == "ptxas-options") {
      const std::string left = without_reports(found.value, result_.report_registers);
      if (!left.empty()) result_.argv.insert(result_.argv.end(), {"-Xptxas", left});
      return;
    }
    // Others may name files, of which no key would know.
    const bool is_for_fatbinary = found.name == "Xfatbin" || found.name == "fatbin-options";
    if (is_for_fatbinary && !found.value.ends_with("-compress-all"))
      return refuse(fmt::format("'{}' is more than sagebuild knows", join(taken, " ")));
    result_.argv.insert(result_.argv.end(), taken.begin(), taken.end());
  }

  void refuse(std::string reason) {
    if (result_.opaque.empty()) result_.opaque = std::move(reason);
    result_.argv.push_back(words_[at_]);
  }

  const Words& words_;
  std::size_t at_ = 1;
  NvccArguments result_;
};

// What a word says to whoever it is handed on to: "-Xcompiler=-Wa,-specs=x" says "-specs=x" and
// "x", too.
std::vector<std::string_view> sayings(std::string_view word) {
  std::vector<std::string_view> all;
  for (std::string_view part : split(word, ",")) {
    all.push_back(part);
    for (auto at = part.find('='); at != std::string_view::npos; at = part.find('=')) {
      part.remove_prefix(at + 1);
      all.push_back(part);
    }
  }
  for (std::string_view& one : all)
    while (take_prefix(one, "\"") || take_prefix(one, "'")) continue;
  return all;
}

bool ends_with(const Words& words, const Words& tail) {
  return words.size() > tail.size() && std::equal(tail.rbegin(), tail.rend(), words.rbegin());
}

}  // namespace

NvccArguments normalise_nvcc(const Words& argv, std::string_view prepend, std::string_view append) {
  Words all = {argv.front()};
  const Words before = shell_words(prepend);
  const Words behind = shell_words(append);
  all.insert(all.end(), before.begin(), before.end());
  all.insert(all.end(), argv.begin() + 1, argv.end());
  if (!ends_with(argv, behind)) all.insert(all.end(), behind.begin(), behind.end());
  return Normaliser(all).run();
}

Words gencode_options(const std::vector<Target>& targets) {
  struct Codes {
    std::set<Arch> sass;
    bool ptx = false;
  };
  std::map<Arch, Codes> by_virtual;
  for (const auto& target : targets) {
    auto& codes = by_virtual[target.virtual_arch];
    if (target.sass) codes.sass.insert(target.real);
    codes.ptx = codes.ptx || target.ptx;
  }
  Words result;
  for (const auto& [virtual_arch, codes] : by_virtual) {
    Words names;
    for (const auto& real : codes.sass) names.push_back(sm_name(real));
    if (codes.ptx) names.push_back(compute_name(virtual_arch));
    if (names.empty()) continue;
    const std::string list = names.size() == 1 ? names[0] : "[" + join(names, ",") + "]";
    result.push_back(fmt::format("-gencode=arch={},code={}", compute_name(virtual_arch), list));
  }
  return result;
}

Words with_host_options(const Words& argv) {
  Words words;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    std::string_view value = argv[i];
    const bool is_option =
        value == "-Xcompiler" || value == "--compiler-options" || value == "-compiler-options";
    if (is_option && i + 1 < argv.size()) {
      value = argv[++i];
    } else if (!take_prefix(value, "-Xcompiler=") && !take_prefix(value, "--compiler-options=") &&
               !take_prefix(value, "-compiler-options=")) {
      words.push_back(argv[i]);
      continue;
    }
    for (const auto part : split(value, ",")) words.emplace_back(part);
  }
  return words;
}

std::vector<std::filesystem::path> include_folders(const Words& argv,
                                                   const std::filesystem::path& cwd) {
  // g++'s spellings and nvcc's: -Ix, -I x, -isystem x, --include-path=x,y.
  constexpr std::array<std::string_view, 8> kOptions = {"-I",
                                                        "-isystem",
                                                        "-iquote",
                                                        "-idirafter",
                                                        "--include-path",
                                                        "-include-path",
                                                        "--system-include",
                                                        "-system-include"};
  std::vector<std::filesystem::path> folders;
  const Words words = with_host_options(argv);
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string_view option : kOptions) {
      std::string_view names = words[i];
      if (!take_prefix(names, option)) continue;
      if (names.empty() && i + 1 < words.size()) names = words[++i];
      take_prefix(names, "=");
      for (const auto name : split(names, ",")) folders.push_back(cwd / name);
      break;
    }
  }
  return folders;
}

std::vector<std::filesystem::path> named_files(const Words& argv,
                                               const std::filesystem::path& cwd) {
  std::set<std::filesystem::path> files;
  const auto add = [&](std::string_view text) {
    while (take_prefix(text, "@")) continue;
    std::error_code ignored;
    const auto path = cwd / text;
    if (!text.empty() && std::filesystem::is_regular_file(path, ignored)) files.insert(path);
  };
  // -fplugin=FILE, --options-file=FILE, -Wa,@FILE, -Xcompiler=-fplugin=FILE
  for (const auto& word : argv)
    for (const std::string_view said : sayings(word)) add(said);
  return {files.begin(), files.end()};
}

std::string reads_unnamed_files(const Words& argv) {
  constexpr std::array<std::string_view, 11> kOptions = {"-fprofile-use",
                                                         "-fauto-profile",
                                                         "-fbranch-probabilities",
                                                         "-fplugin",
                                                         "-specs",
                                                         "--specs",
                                                         "-B",
                                                         "--sysroot",
                                                         "-isysroot",
                                                         "-wrapper",
                                                         "-fmodule"};
  for (const auto& word : argv) {
    for (const std::string_view part : sayings(word)) {
      if (part.find("__has_") != std::string_view::npos)
        return fmt::format("'{}' may ask for files that cannot be told", part);
      const auto found =
          std::ranges::find_if(kOptions, [&](auto option) { return part.starts_with(option); });
      if (found != kOptions.end())
        return fmt::format("'{}' makes the compiler read files that cannot be told", part);
    }
  }
  return "";
}

bool has_options_file(const Words& argv) {
  const auto is_one = [](std::string_view said) {
    while (take_prefix(said, "-")) continue;
    return said.starts_with("options-file") || said.starts_with("optf");
  };
  return std::ranges::any_of(
      argv, [&](const std::string& word) { return std::ranges::any_of(sayings(word), is_one); });
}

Words normalise_host(const Words& argv) {
  static const std::set<std::string_view> with_value = {"-MF", "-MT", "-MQ"};
  static const std::set<std::string_view> alone = {"-MD", "-MMD", "-MP", "-c",   "-g",
                                                   "-g1", "-g2",  "-g3", "-ggdb"};
  Words result;
  for (std::size_t i = 0; i < argv.size(); ++i) {
    if (with_value.contains(argv[i]))
      ++i;
    else if (!alone.contains(argv[i]))
      result.push_back(argv[i]);
  }
  return result;
}

}  // namespace sagebuild
