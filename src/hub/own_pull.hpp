#pragma once
// How this program finds its own pull requests again, so that none is opened twice.

#include <optional>
#include <string>
#include <vector>

#include "hub/item.hpp"
#include "sagebuild/hub/publish.hpp"

namespace sagebuild {

// What the same change has in the description of every pull request that this program opens for it.
std::string pull_mark(const PublishRequest& request, const std::vector<Item>& items);

// The number of an open one with this mark, whose files of these names are ours. Where the Hub
// tells no description, one that holds all files counts.
std::optional<int> find_own_pull(HubApi& api, const PublishRequest& request,
                                 const std::vector<Item>& items);

}  // namespace sagebuild
