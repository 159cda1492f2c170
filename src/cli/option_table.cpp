#include "cli/option_table.hpp"

#include <algorithm>

#include "sagebuild/base/strings.hpp"

namespace sagebuild {
namespace {

struct Row {
  std::string_view name;
  OptionLook look;
};

constexpr std::string_view kSource = "Source", kTarget = "Target", kEnvironment = "Environment",
                           kOutput = "Output", kCache = "Cache", kDiagnostics = "Diagnostics",
                           kRepository = "Repository", kCommit = "Commit", kFiles = "Files",
                           kUpload = "Upload", kHidden = "";
constexpr std::string_view kOrder[] = {kSource, kTarget,     kEnvironment, kFiles, kOutput,
                                       kUpload, kRepository, kCommit,      kCache, kDiagnostics};

constexpr Row kRows[] = {
    {"source", {kSource, "URL|DIR|FILE"}},
    {"ref", {kSource, "REF"}},
    {"subfolder", {kSource, "FOLDER"}},
    {"recipe", {kSource, "NAME|FILE"}},
    {"no-patch", {kSource, ""}},
    {"strict-patch", {kSource, ""}},
    {"allow-foreign-owner", {kSource, ""}},

    {"arch", {kTarget, "LIST"}},
    {"platform", {kTarget, "auto|linux"}},
    {"headers", {kTarget, "auto|facade|full|check"}},
    {"compress", {kTarget, "auto|size|project"}},
    {"no-parts", {kTarget, ""}},
    {"assume-gpus", {kTarget, ""}},
    {"allow-cpu", {kTarget, ""}},

    {"python", {kEnvironment, "FILE|DIR|VERSION"}},
    {"torch", {kEnvironment, "TORCH"}},
    {"cuda", {kEnvironment, "VERSION"}},
    {"cuda-home", {kEnvironment, "DIR"}},
    {"index-url", {kEnvironment, "URL"}},
    {"offline", {kEnvironment, ""}},
    {"env", {kEnvironment, "NAME[=TEXT]"}},
    {"jobs", {kEnvironment, "N"}},
    {"memory", {kEnvironment, "SIZE"}},
    {"create-env", {kEnvironment, ""}},
    {"yes", {kEnvironment, ""}},

    {"output", {kOutput, "DIR"}},
    {"force", {kOutput, ""}},
    {"unverified", {kOutput, ""}},
    {"install", {kOutput, ""}},

    {"no-cache", {kCache, ""}},
    {"cache-limit", {kCache, "SIZE"}},
    {"cache-remote", {kCache, "URL"}},
    {"cache-remote-read-only", {kCache, ""}},
    {"allow-shared-cache", {kCache, ""}},
    {"explain", {kCache, ""}},

    {"timeline", {kDiagnostics, "FILE"}},
    {"keep-temp", {kDiagnostics, ""}},
    {"show-settings", {kDiagnostics, ""}},

    {"repo", {kRepository, "OWNER/NAME"}},
    {"type", {kRepository, "model|dataset|space"}},
    {"branch", {kRepository, "BRANCH"}},
    {"revision", {kRepository, "BRANCH"}},
    {"create", {kRepository, ""}},
    {"private", {kRepository, ""}},
    {"public-ok", {kRepository, ""}},
    {"sdk", {kRepository, "static|gradio|docker|streamlit"}},
    {"token-file", {kRepository, "FILE"}},
    {"path-in-repo", {kRepository, "FOLDER"}},
    {"pr", {kCommit, ""}},
    {"commit-message", {kCommit, "TEXT"}},
    {"no-readme", {kCommit, ""}},
    {"force-index", {kCommit, ""}},
    {"dry-run", {kCommit, ""}},
    {"include", {kFiles, "GLOB"}},
    {"exclude", {kFiles, "GLOB"}},
    {"fix-names", {kFiles, ""}},

    // They make tests short; a slow link may want them, which docs/upload.md tells.
    {"retry-delay-ms", {kHidden, "MS"}},
    {"stall-limit-ms", {kHidden, "MS"}},
    {"connect-limit-ms", {kHidden, "MS"}},

    {"extract", {"Options", "DIR"}},
    {"html", {"Options", "FILE"}},
    {"diff", {"Options", "FILE"}},
    {"policy", {"Options", "strict|publish|local"}},
    {"sarif", {"Options", "FILE"}},
    {"name", {"Options", "NAME"}},
    {"python-tag", {"Options", "TAG"}},
    {"abi-tag", {"Options", "TAG"}},
    {"platform-tag", {"Options", "TAG|auto"}},
    {"build-tag", {"Options", "NUMBER"}},
    {"label", {"Options", "LABEL"}},
    {"subject", {"Options", "TEXT"}},
};

}  // namespace

OptionLook look_of(std::string_view setting) {
  const bool is_upload = setting == "upload" || take_prefix(setting, "upload-");
  if (setting == "upload") setting = "repo";
  const auto* row = std::ranges::find(kRows, setting, &Row::name);
  OptionLook look = row == std::end(kRows) ? OptionLook{"Options", "VALUE"} : row->look;
  if (is_upload && !look.group.empty()) look.group = kUpload;
  return look;
}

std::size_t order_of(const OptionLook& look) {
  return static_cast<std::size_t>(std::ranges::find(kOrder, look.group) - std::begin(kOrder));
}

}  // namespace sagebuild
