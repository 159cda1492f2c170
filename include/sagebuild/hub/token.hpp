#pragma once
// Where the Hub's token comes from. It is read into a Secret and goes nowhere but into the
// Authorization header.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sagebuild/base/secret.hpp"

namespace sagebuild {

struct HubToken {
  Secret secret;       // empty: none was found
  std::string user;    // not empty: the secret is a password, sent as Basic authorization
  std::string origin;  // "HF_TOKEN", "the file '~/.cache/huggingface/token'", for messages
};

// `token_file` (--token-file), else HF_TOKEN, HUGGING_FACE_HUB_TOKEN, else the file HF_TOKEN_PATH,
// $HF_HOME/token, $XDG_CACHE_HOME/huggingface/token or ~/.cache/huggingface/token, else the user
// info of HF_ENDPOINT. Blanks and line ends are stripped, an empty value counts as absent. From the
// moment a token is found this process leaves no core file and cannot be traced by others. Throws
// Error{usage} if `token_file` is a folder, unreadable or empty, or a token has characters that no
// header may hold.
HubToken find_hub_token(const std::optional<std::filesystem::path>& token_file);
// The token that `text` is; nothing if it is blank. `origin` is for messages.
std::optional<HubToken> read_hub_token(std::string_view text, std::string origin);

}  // namespace sagebuild
