#pragma once
// The wheels of a repository and the index files beside them, read from one commit.

#include <map>
#include <string>

#include "sagebuild/hub/api.hpp"
#include "sagebuild/hub/index.hpp"

namespace sagebuild {

// The size and SHA-256 of every wheel in the tree but those of `known`: the LFS oid, or, for a
// wheel that lies in git itself, the digest of its bytes, which are downloaded.
ShelfWheels wheels_of_tree(HubApi& api, const std::string& commit, const RemoteTree& tree,
                           const ShelfWheels& known = {});

// The index files that the tree has.
PresentFiles present_index(HubApi& api, const std::string& commit, const RemoteTree& tree);

}  // namespace sagebuild
