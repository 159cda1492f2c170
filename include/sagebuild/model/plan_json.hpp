#pragma once
// What `plan --json` and a wheel's sagebuild.json say of a plan in the same words.

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "sagebuild/model/build_plan.hpp"

namespace sagebuild {

// {"from": "compute_89", "code": ["sm_90"], "reason": "same PTX"}
nlohmann::ordered_json target_json(const Target& target);

// [{"name": "pkg._sm90", "reason": "no target for 8.9"}]
nlohmann::ordered_json left_out_json(const std::vector<DroppedModule>& modules);

}  // namespace sagebuild
