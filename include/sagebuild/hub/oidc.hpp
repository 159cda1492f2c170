#pragma once
// A token of the Hub in exchange for a CI job's identity ("Trusted Publishers"), so that no secret
// has to be kept in the CI: https://huggingface.co/docs/hub/trusted-publishers

#include <optional>
#include <string>

#include "sagebuild/hub/token.hpp"
#include "sagebuild/net/http.hpp"

namespace sagebuild {

// Where HF_OIDC_RESOURCE names a repository ("user/wheels", "datasets/user/wheels"): its token for
// an hour, in exchange for HF_OIDC_ID_TOKEN, or on GitHub for the one that
// ACTIONS_ID_TOKEN_REQUEST_URL gives. Nothing where the variable is not set. Throws Error if the
// exchange is refused: another token in its place might belong to somebody else.
std::optional<HubToken> token_from_oidc(HttpClient& http, const std::string& endpoint);

}  // namespace sagebuild
