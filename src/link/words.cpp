#include "words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>

#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/response_files.hpp"

namespace sagebuild::linking {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

bool begins_with_any(std::string_view text, const auto& beginnings) {
  return std::ranges::any_of(
      beginnings, [&](std::string_view beginning) { return text.starts_with(beginning); });
}

// Options whose inputs or outputs the linker's list does not hold: other code generators, plugins,
// other tools.
bool reads_unseen(const Token& token) {
  static constexpr std::array<std::string_view, 13> kDriver = {
      "-flto",       "-fplugin", "-B",       "--sysroot", "-specs",         "--specs", "-fuse-ld",
      "-save-temps", "-dump",    "-wrapper", "-fprofile", "-fauto-profile", "-x"};
  static constexpr std::array<std::string_view, 12> kLinker = {
      "-plugin",   "--plugin", "-Map",     "--Map", "--dependency-file", "-dependency-file",
      "--sysroot", "-sysroot", "--output", "-o",    "--out-implib",      "-out-implib"};
  if (token.text == "--library" || token.text == "--library-path")
    return true;  // nobody writes it so
  return token.linker ? begins_with_any(token.text, kLinker) : begins_with_any(token.text, kDriver);
}

bool is_source(const fs::path& file) {
  static const std::set<std::string, std::less<>> kSuffixes = {
      ".c",  ".i", ".ii", ".cc", ".cp", ".cxx", ".cpp", ".c++", ".C",  ".CPP", ".s", ".S",
      ".sx", ".m", ".mm", ".f",  ".F",  ".f90", ".F90", ".d",   ".go", ".cu",  ".h", ".hpp"};
  return kSuffixes.contains(file.extension().string());
}

class Reading {
 public:
  Reading(const Words& argv, const fs::path& cwd, const std::map<std::string, std::string>& objects,
          const PathRoots& roots)
      : tokens_(tokens_of(argv)), cwd_(cwd), objects_(objects), roots_(roots) {}

  LinkWords run() {
    for (at_ = 0; at_ < tokens_.size(); ++at_) take(tokens_[at_]);
    for (const fs::path& file : words_.files) look_into(file);
    // What is asked for grows here: a script may name further libraries.
    for (std::size_t i = 0; i < words_.asked.size(); ++i)
      for (const fs::path& folder : words_.folders) look_into(folder / words_.asked[i]);
    return std::move(words_);
  }

 private:
  void take(const Token& token) {
    if (const auto object = objects_.find(token.text); object != objects_.end())
      return keep(object->second, token);
    if (reads_unseen(token))
      refuse(fmt::format("'{}' reads or writes files that the linker does not list", token.text));
    if (const auto folder = value_of(token, {"--library-path=", "-library-path=", "-L"}))
      return take_folder(*folder);
    if (const auto library = value_of(token, {"--library=", "-library=", "-l"}))
      return take_library(*library);
    if (takes_run_path(token)) return;
    take_any(token);
  }

  // "-Lx", "-L x" and "--library-path=x".
  std::optional<std::string> value_of(const Token& token,
                                      std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
      std::string_view text = token.text;
      if (!take_prefix(text, name)) continue;
      if (!text.empty() || name.ends_with('=')) return std::string(text);
      if (at_ + 1 < tokens_.size()) return tokens_[++at_].text;
    }
    return std::nullopt;
  }

  void take_folder(const std::string& folder) {
    if (folder.starts_with('=') || folder.starts_with('$'))
      refuse(fmt::format("'-L{}' is relative to a folder of the linker's", folder));
    words_.folders.push_back(cwd_ / folder);
    words_.key.push_back("-L" + mapped_path(folder, roots_));
  }

  void take_library(const std::string& library) {
    words_.key.push_back("-l" + library);
    ask_for(library);
  }

  void ask_for(const std::string& library) {
    const auto ask = [&](std::string name) {
      if (std::ranges::find(words_.asked, name) == words_.asked.end())
        words_.asked.push_back(std::move(name));
    };
    if (library.starts_with(':')) return ask(library.substr(1));
    ask(fmt::format("lib{}.so", library));
    ask(fmt::format("lib{}.a", library));
  }

  // "libbar.so" may be a script: INPUT(-lbaz). A thin archive's members lie elsewhere.
  void look_into(const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored) || is_elf(file)) return;
    char magic[8] = {};
    std::ifstream(file, std::ios::binary).read(magic, sizeof magic);
    const std::string_view start(magic, sizeof magic);
    if (start == "!<thin>\n")
      refuse(fmt::format("'{}' is an archive of files that lie elsewhere", file.string()));
    if (start == "!<thin>\n" || start == "!<arch>\n") return;
    const std::string text = read_file(file);
    for (std::string_view word : split(text, " \t\n\r(),;\""))
      if (take_prefix(word, "-l")) ask_for(std::string(word));
  }

  // They are written into the module as they stand, and read at run time alone.
  bool takes_run_path(const Token& token) {
    static const std::set<std::string, std::less<>> kNames = {"-rpath", "--rpath", "-rpath-link",
                                                              "--rpath-link"};
    const std::string_view name = std::string_view(token.text).substr(0, token.text.find('='));
    if (!token.linker || !kNames.contains(name)) return false;
    keep(token.text, token);
    if (name.size() == token.text.size() && at_ + 1 < tokens_.size())
      keep(tokens_[++at_].text, token);
    return true;
  }

  // A file is known by its content, whatever the option. A folder is not.
  void take_any(const Token& token) {
    for (const std::size_t begin : value_starts(token)) {
      const std::string value = token.text.substr(begin);
      const fs::path path = cwd_ / value;
      std::error_code ignored;
      if (fs::is_directory(path, ignored)) {
        if (is_include_folder(token))
          return keep(token.text.substr(0, begin) + mapped_path(value, roots_), token);
        refuse(fmt::format("'{}' names a folder, of which any file may be read", token.text));
      } else if (fs::is_regular_file(path, ignored)) {
        if (!token.linker && begin == 0 && is_source(path))
          refuse(fmt::format("'{}' is a source", token.text));
        words_.files.push_back(path);
        return keep(
            token.text.substr(0, begin) + (names_itself(path) ? value : mapped_path(value, roots_)),
            token);
      }
    }
    keep(token.text, token);
  }

  // Where a path may begin in a word: "x.map", "--version-script=x.map", "-Tx.ld".
  static std::vector<std::size_t> value_starts(const Token& token) {
    std::vector<std::size_t> starts;
    if (!token.text.starts_with('-')) starts.push_back(0);
    if (const auto equals = token.text.find('='); equals != std::string::npos)
      starts.push_back(equals + 1);
    if (token.text.starts_with('-') && token.text.size() > 2) starts.push_back(2);
    return starts;
  }

  // Without sources nothing is included.
  bool is_include_folder(const Token& token) const {
    const bool behind_option =
        at_ > 0 && (tokens_[at_ - 1].text == "-I" || tokens_[at_ - 1].text == "-isystem");
    return !token.linker && (token.text.starts_with("-I") || behind_option);
  }

  // A library without a soname is needed by the name that the command has for it.
  static bool names_itself(const fs::path& file) {
    if (!is_elf(file)) return false;
    return file.extension() != ".o" && dynamic_info(file).soname.empty();
  }

  void keep(std::string text, const Token& token) {
    words_.key.push_back(token.linker ? "-Wl," + std::move(text) : std::move(text));
  }
  void refuse(std::string reason) {
    if (words_.unknown.empty()) words_.unknown = std::move(reason);
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  fs::path cwd_;
  const std::map<std::string, std::string>& objects_;
  const PathRoots& roots_;
  LinkWords words_;
};

}  // namespace

std::vector<Token> tokens_of(const Words& argv) {
  std::vector<Token> tokens;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    std::string_view word = argv[i];
    if (word == "-Xlinker" && i + 1 < argv.size()) {
      tokens.push_back({argv[++i], true});
    } else if (take_prefix(word, "-Wl,")) {
      for (const auto part : split(word, ",")) tokens.push_back({std::string(part), true});
    } else {
      tokens.push_back({argv[i], false});
    }
  }
  return tokens;
}

Words expanded(const Words& argv, const fs::path& cwd) {
  Words result;
  for (const std::string& word : with_response_files(argv, cwd)) {
    if (!word.starts_with("-Wl,") || word.find(",@") == std::string::npos) {
      result.push_back(word);
      continue;
    }
    // The linker reads @files itself: "-Wl,@symbols.txt".
    Words inner = {"ld"};
    for (const auto part : split(std::string_view(word).substr(4), ",")) inner.emplace_back(part);
    inner = with_response_files(std::move(inner), cwd);
    for (std::size_t i = 1; i < inner.size(); ++i)
      result.insert(result.end(), {"-Xlinker", inner[i]});
  }
  return result;
}

LinkWords link_words(const Words& argv, const fs::path& cwd,
                     const std::map<std::string, std::string>& objects, const PathRoots& roots) {
  return Reading(argv, cwd, objects, roots).run();
}

}  // namespace sagebuild::linking
