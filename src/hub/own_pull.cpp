#include "hub/own_pull.hpp"

#include <fmt/format.h>

namespace sagebuild {
namespace {

// Each is a request; of more than these only those of our title are looked at.
constexpr std::size_t kFew = 50;

}  // namespace

std::string pull_mark(const PublishRequest& request, const std::vector<Item>& items) {
  Sha256 hash;
  for (const Item& item : items)
    hash.update(fmt::format("{} {}\n", item.file.id.sha256.hex(), item.file.repo_path));
  for (const auto& [path, file] : request.removed) hash.update(fmt::format("- {}\n", path));
  for (const MovedFile& move : request.moved)
    hash.update(fmt::format("{} > {}\n", move.from, move.to));
  return fmt::format("<!-- sagebuild upload {} -->", hash.finish().hex().substr(0, 32));
}

std::optional<int> find_own_pull(HubApi& api, const PublishRequest& request,
                                 const std::vector<Item>& items) {
  const std::string mark = pull_mark(request, items);
  const std::vector<HubApi::Pull> pulls = api.open_pulls();
  for (const HubApi::Pull& pull : pulls) {
    const bool is_cheap = pull.description || pulls.size() <= kFew;
    if (!is_cheap && pull.title != request.summary) continue;
    const auto description = api.description_of(pull);
    if (description && description->find(mark) == std::string::npos) continue;
    const auto head = api.head(fmt::format("refs/pr/{}", pull.number));
    if (!head) continue;
    // The mark can be copied, and it is not everywhere told
    const RemoteTree tree = api.tree(*head);
    std::vector<std::string> removed;
    for (const auto& [path, file] : request.removed) removed.push_back(path);
    if (description ? holds_other(tree, items) : !holds_all(tree, {items, removed})) continue;
    return pull.number;
  }
  return std::nullopt;
}

}  // namespace sagebuild
