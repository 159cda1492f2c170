#include "symbols.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/elf.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild::linking {
namespace {

namespace fs = std::filesystem;

class Search {
 public:
  Search(const fs::path& module, const Providers& providers)
      : module_(module), providers_(providers) {
    for (std::string& name : wanted_symbols(module)) missing_.insert(std::move(name));
  }

  SymbolSearch run() {
    std::deque<fs::path> first(providers_.linked.begin(), providers_.linked.end());
    add_needed(module_, first);
    ask(std::move(first));
    ask({providers_.files.begin(), providers_.files.end()});
    for (const fs::path& folder : providers_.others) ask(libraries_in(folder));
    return {{missing_.begin(), missing_.end()}, std::move(found_)};
  }

 private:
  // The files, then what they need, and so on.
  void ask(std::deque<fs::path> files) {
    while (!missing_.empty() && !files.empty()) {
      const fs::path file = std::move(files.front());
      files.pop_front();
      std::error_code error;
      if (!asked_.insert(fs::canonical(file, error)).second || error || !is_elf(file)) continue;
      try {
        take_from(file);
        add_needed(file, files);
      } catch (const Error&) {
        continue;  // of another architecture, or damaged: it helps nobody
      }
    }
  }

  void take_from(const fs::path& file) {
    const std::size_t before = missing_.size();
    each_exported_symbol(file, [&](std::string_view name) {
      if (const auto wanted = missing_.find(name); wanted != missing_.end()) missing_.erase(wanted);
    });
    if (missing_.size() < before) found_.push_back(file);
  }

  void add_needed(const fs::path& file, std::deque<fs::path>& files) const {
    const DynamicInfo info = dynamic_info(file);
    const fs::path origin = real_path(file).parent_path();
    std::vector<fs::path> folders;
    for (const std::string& folder : info.run_paths)
      folders.emplace_back(
          replaced(replaced(folder, "$ORIGIN", origin.string()), "${ORIGIN}", origin.string()));
    folders.insert(folders.end(), providers_.folders.begin(), providers_.folders.end());
    folders.push_back(origin);
    for (const std::string& name : info.needed) {
      const auto folder =
          std::ranges::find_if(folders, [&](const auto& one) { return is_there(one / name); });
      if (folder != folders.end()) files.push_back(*folder / name);
    }
  }

  static std::deque<fs::path> libraries_in(const fs::path& folder) {
    std::set<fs::path> libraries;
    for (const fs::path& path : entries_if_readable(folder))
      if (path.filename().string().find(".so") != std::string::npos) libraries.insert(path);
    return {libraries.begin(), libraries.end()};
  }

  const fs::path& module_;
  const Providers& providers_;
  std::set<std::string, std::less<>> missing_;
  std::set<fs::path> asked_;
  std::vector<fs::path> found_;
};

}  // namespace

SymbolSearch search_symbols(const fs::path& module, const Providers& providers) {
  return Search(module, providers).run();
}

}  // namespace sagebuild::linking
