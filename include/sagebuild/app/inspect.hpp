#pragma once
// `sagebuild inspect` and `sagebuild verify`: what is in a file, and whether it is what it
// promises.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sagebuild/model/finding.hpp"
#include "sagebuild/model/recipe.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

struct InspectSettings {
  std::filesystem::path file;
  bool deep = false;              // GPU code in other sections too
  bool kernel_names = false;      // of all kernels
  bool images_only = false;       // what their headers say: nothing is known of kernels
  std::filesystem::path extract;  // folder for every image; empty: none
  unsigned jobs = 1;
  std::filesystem::path torch;  // that its modules must fit; empty: the one that it promises
  std::string name = {};        // the file's, where the path has another one

  std::string file_name() const { return name.empty() ? file.filename().string() : name; }
};

// Of a wheel, a shared library, a cubin or a fatbin. Each library of a wheel is unpacked to a
// temporary file, two at most at a time. Throws Error{failed} for what is none of these, and for an
// archive that must not be unpacked (WheelReader).
WheelFacts read_facts(const InspectSettings& settings);

// The promise, by `own` and the recipes that come with sagebuild; without these where they are not
// there.
Promise promise_for(const WheelFacts& facts, const std::optional<std::string>& archs = {},
                    const std::optional<Recipe>& own = {});

struct Verification {
  WheelFacts facts;
  Promise promise;
  std::vector<Finding> findings;

  bool has_errors() const;
};

// An archive that must not be unpacked is a finding here.
Verification verify_file(const InspectSettings& settings, const std::optional<std::string>& archs,
                         Policy policy, const std::optional<Recipe>& own = {});

struct VerifyRules {
  Policy policy = Policy::publish;
  unsigned jobs = 1;
  bool unverified = false;  // errors are told as warnings
  std::string hint;         // what to do else
  std::string name = {};    // the file's, where the path has another one
  // That the wheel was made by, where it need not be one of those that come with sagebuild
  std::optional<Recipe> recipe = {};
};

// For what must not go on with a wheel that fails: throws Error{findings} with each error as a
// cause. Reports warnings.
void require_verified(const std::filesystem::path& wheel, const VerifyRules& rules,
                      Reporter& report);

}  // namespace sagebuild
