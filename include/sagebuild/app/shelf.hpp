#pragma once
// `sagebuild hub`: the wheels that a repository has, kept in order.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "sagebuild/app/hub_settings.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/report/reporter.hpp"

namespace sagebuild {

struct Shelf {
  std::string repo;  // its name now
  std::string commit;
  bool is_private = false;
  // Newest first. What wheels.json would say of each wheel (hub/index.hpp), and "date", when its
  // file was last changed, where the Hub tells.
  std::vector<nlohmann::json> wheels;
};

// Only reads: of a public repository anybody's.
Shelf list_shelf(const HubSettings& settings, Reporter& report);

// Each is one commit, made as upload makes its own, with the index files in it. Throw what publish
// throws, and Error{failed} where a name fits nothing.

// `names` are paths, file names or globs. `confirm` is given the paths and may throw.
PublishOutcome remove_from_shelf(
    const HubSettings& settings, const std::vector<std::string>& names,
    const std::function<void(const std::vector<std::string>& paths)>& confirm, Reporter& report);
// `from` is a path or a file name; `to` a path, with a "/" at its end a folder. A wheel keeps its
// name, which is its identity, unless that is no wheel's name (as browsers store them) or `force`.
PublishOutcome move_on_shelf(const HubSettings& settings, const std::string& from, std::string to,
                             Reporter& report);
PublishOutcome reindex_shelf(const HubSettings& settings, Reporter& report);

}  // namespace sagebuild
