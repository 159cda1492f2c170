#pragma once
// Who else can put files where we take files from, as ssh asks of its keys and git of its
// repositories.

#include <filesystem>
#include <optional>
#include <string>

namespace sagebuild {

// Why others than this user and root can put files into `folder`, or replace it: "everybody can
// write to '/x'". Looks at the folder, at what it lies in (where a sticky bit, as of /tmp, is as
// good as no write) and `depth` levels of folders below. A folder that is not there yet is judged
// by what it would lie in. What cannot be looked at counts as ours: it cannot be used either. The
// user who became root by sudo counts as root; a group counts as the user if it is the user's own,
// of that name and without other members.
std::optional<std::string> others_can_write(const std::filesystem::path& folder, int depth);

}  // namespace sagebuild
