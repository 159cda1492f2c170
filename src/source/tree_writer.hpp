#pragma once
// Writes a working tree from paths that strangers chose (a commit, an archive) and refuses those
// that would leave it.

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

// What a source may hold in all, so that a small archive or commit cannot fill the disk. PyTorch
// with its submodules, one of the largest, is 60,000 files and 1 GB.
struct TreeLimits {
  std::uint64_t bytes = 8'000'000'000;
  std::uint64_t entries = 300'000;
};

class TreeWriter {
 public:
  explicit TreeWriter(std::filesystem::path root, TreeLimits limits = {});  // an empty folder

  // Each throws Error{failed} for a path that is absolute, empty, has "." or ".." or ".git" in it,
  // or was there already, and for what goes beyond the limits.
  void file(std::string_view path, std::string_view content, bool executable);  // mode 0755 or 0644
  void folder(std::string_view path);
  void same_as(std::string_view path, std::string_view earlier);  // a tar archive's hard link
  // Made by finish(): as long as files are written no link can lead them astray.
  void link(std::string_view path, std::string_view target);

  // Makes the links and checks that none leads out of the tree. With `strip_top`, a single folder
  // at the top becomes the tree. Gives the tree's root.
  std::filesystem::path finish(bool strip_top = false);

 private:
  struct Link {
    std::string path;
    std::string target;
  };
  std::filesystem::path place_for(std::string_view path);
  void count(std::uint64_t bytes);
  void make_link(const Link& link, const std::filesystem::path& tree) const;
  std::filesystem::path only_folder_or(const std::filesystem::path& fallback) const;

  std::filesystem::path root_;
  TreeLimits left_;
  std::set<std::filesystem::path> folders_;  // that were made
  std::vector<Link> links_;
};

}  // namespace sagebuild
