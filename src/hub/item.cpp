#include "hub/item.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

constexpr std::size_t kSample = 512;

}  // namespace

std::vector<Item> hashed_items(HubApi& api, const PublishRequest& request, Reporter& report) {
  std::vector<Item> items;
  if (request.files.empty()) return items;
  report.stage("hashing " + counted(request.files.size(), "file"));
  TransferProgress shown{.what = "hashing", .objects_total = request.files.size()};
  for (const PublishFile& file : request.files) shown.total += size_of_file(file.path);
  std::uint64_t before = 0;
  const auto hashed = [&](std::uint64_t bytes) {
    if (api.http().settings().tick) api.http().settings().tick();
    shown.done = before + bytes;
    report.transfer(shown);
  };
  std::set<std::string> paths;
  for (const PublishFile& file : request.files) {
    require_repo_path(file.repo_path);
    if (!paths.insert(file.repo_path).second) {
      throw Error(ErrorKind::usage,
                  fmt::format("two files would both become '{}'", file.repo_path));
    }
    shown.item = file.path.filename().string();
    items.push_back({read_local_file(file.path, file.repo_path, hashed), {}});
    if (file.checked) require_unchanged({file.path, file.repo_path, {}, *file.checked});
    before = shown.done;
    ++shown.objects_done;
  }
  return items;
}

std::string content_of(const Item& item) {
  return item.file.path.empty() ? item.content : read_file(item.file.path);
}

bool has_same_content(const RemoteFile& remote, const Item& item) {
  if (remote.size != item.file.id.size) return false;
  if (remote.lfs) return *remote.lfs == item.file.id.sha256;
  return remote.blob == git_blob_id(content_of(item));
}

bool holds_all(const RemoteTree& tree, const Changes& changes) {
  const auto is_gone = [&](const std::string& path) { return !tree.contains(path); };
  return std::ranges::all_of(changes.removed, is_gone) &&
         std::ranges::all_of(changes.files, [&](const Item& item) {
           const auto found = tree.find(item.file.repo_path);
           return found != tree.end() && has_same_content(found->second, item);
         });
}

bool holds_other(const RemoteTree& tree, const std::vector<Item>& items) {
  return std::ranges::any_of(items, [&](const Item& item) {
    const auto found = tree.find(item.file.repo_path);
    return found != tree.end() && !has_same_content(found->second, item);
  });
}

std::string sample_of(const Item& item) {
  if (item.file.path.empty()) return item.content.substr(0, kSample);
  std::string sample(std::min<std::uint64_t>(kSample, item.file.id.size), '\0');
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(item.file.path.c_str(), "rbe"),
                                                       &std::fclose);
  if (!file || std::fread(sample.data(), 1, sample.size(), file.get()) != sample.size())
    require_unchanged(item.file);
  return sample;
}

}  // namespace sagebuild
