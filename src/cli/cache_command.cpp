#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/json.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/cache/maintenance.hpp"
#include "sagebuild/cli/cache_settings.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/sys/machine.hpp"

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

constexpr SettingSpec kLimit = {"cache-limit", "most bytes that the cache keeps, such as 20G",
                                "20G"};

void print_json(std::string_view schema, Json document) {
  Json whole = {{"schema", schema}, {"folder", action_cache_folder().string()}};
  whole.update(document);
  fmt::print("{}\n", json_lines(whole));
}

int run_stat(const Cli& cli, const Settings& settings) {
  const CacheStat stat = cache_stat(action_cache_folder());
  const std::uint64_t limit = cache_choice(settings).limit;
  if (cli.global().json) {
    print_json("sagebuild.cache-stat/1", {{"results", stat.entries},
                                          {"result_bytes", stat.entry_bytes},
                                          {"contents", stat.blobs},
                                          {"content_bytes", stat.blob_bytes},
                                          {"other_bytes", stat.other_bytes},
                                          {"total_bytes", stat.total_bytes()},
                                          {"limit", limit}});
    return 0;
  }
  fmt::print("folder    {}\n", action_cache_folder().string());
  fmt::print("results   {:>8}  {}\n", stat.entries, human_size(stat.entry_bytes));
  fmt::print("contents  {:>8}  {}\n", stat.blobs, human_size(stat.blob_bytes));
  fmt::print("other     {:>8}  {}\n", "", human_size(stat.other_bytes));
  fmt::print("total     {:>8}  {} of {}\n", "", human_size(stat.total_bytes()), human_size(limit));
  return 0;
}

int print_cleaning(const Cli& cli, std::string_view schema, const CacheCleaning& cleaning) {
  if (cli.global().json) {
    print_json(schema, {{"removed_files", cleaning.removed_files},
                        {"removed_bytes", cleaning.removed_bytes},
                        {"orphans", cleaning.orphans},
                        {"remaining_bytes", cleaning.remaining_bytes}});
  } else {
    fmt::print("removed {} files, {}; {} left\n", cleaning.removed_files,
               human_size(cleaning.removed_bytes), human_size(cleaning.remaining_bytes));
  }
  return 0;
}

int run_verify(const Cli& cli) {
  const CacheVerification verification = cache_verify(action_cache_folder());
  if (cli.global().json) {
    print_json("sagebuild.cache-verify/1", {{"checked", verification.checked},
                                            {"damaged", verification.damaged},
                                            {"incomplete", verification.incomplete}});
  } else {
    for (const std::string& path : verification.damaged) fmt::print("damaged, removed: {}\n", path);
    fmt::print("{} files checked, {} damaged, {} results whose contents are gone\n",
               verification.checked, verification.damaged.size(), verification.incomplete);
  }
  return verification.damaged.empty() ? 0 : static_cast<int>(ErrorKind::findings);
}

int run_explain(const Cli& cli, const Settings& settings) {
  const auto differences = cache_explain(action_cache_folder(), settings.text("subject"));
  if (cli.global().json) {
    Json rows = Json::array();
    for (const KeyDifference& row : differences)
      rows.push_back({{"kind", row.kind}, {"subject", row.subject}, {"changed", row.text}});
    print_json("sagebuild.cache-explain/1", {{"subjects", rows}});
    return 0;
  }
  for (const KeyDifference& row : differences)
    fmt::print("{} {}: {}\n", row.kind, row.subject, row.text);
  if (differences.empty()) std::fputs("nothing was stored twice with different inputs\n", stderr);
  return 0;
}

}  // namespace

std::vector<SettingSpec> cache_specs() {
  return {
      {"no-cache", "neither take results from the cache nor keep them", "", {}, true},
      kLimit,
      {"cache-remote", "URL of a remote cache (Bazel's HTTP layout: nginx with DAV, bazel-remote)"},
      {"cache-remote-read-only", "take results from the remote cache, send none", "", {}, true},
      {"explain",
       "say of each step that is not in the cache which of its inputs changed",
       "",
       {},
       true},
  };
}

CacheChoice cache_choice(const Settings& settings) {
  CacheChoice choice;
  choice.limit = settings.size("cache-limit").value_or(choice.limit);
  choice.off = settings.find("no-cache") && settings.enabled("no-cache");
  choice.remote = settings.text("cache-remote");
  choice.remote_read_only =
      settings.find("cache-remote-read-only") && settings.enabled("cache-remote-read-only");
  choice.explain = settings.find("explain") && settings.enabled("explain");
  if (const auto token = environment_value("SAGEBUILD_CACHE_TOKEN")) choice.token = Secret(*token);
  return choice;
}

void add_cache_commands(Cli& cli) {
  CLI::App& group = cli.add_group("cache", "look after the cache of compiled results");
  cli.add_below(group, "stat", "what it holds", {kLimit}, {"sagebuild cache stat --json"},
                [&cli](const Settings& settings, Reporter&) { return run_stat(cli, settings); });
  cli.add_below(group, "gc", "remove what was not used for longest, until the limit is kept",
                {kLimit}, {"sagebuild cache gc --cache-limit 5G"},
                [&cli](const Settings& settings, Reporter&) {
                  const CacheCleaning cleaning =
                      cache_gc(action_cache_folder(), cache_choice(settings).limit);
                  return print_cleaning(cli, "sagebuild.cache-gc/1", cleaning);
                });
  cli.add_below(group, "clear", "remove everything", {}, {"sagebuild cache clear"},
                [&cli](const Settings&, Reporter&) {
                  return print_cleaning(cli, "sagebuild.cache-clear/1",
                                        cache_clear(action_cache_folder()));
                });
  cli.add_below(group, "verify",
                "read and check every file; what is damaged is removed, and the exit code is 5", {},
                {"sagebuild cache verify"},
                [&cli](const Settings&, Reporter&) { return run_verify(cli); });
  cli.add_below(
      group, "explain",
      "which inputs differ between the newest key of a subject and the nearest earlier one",
      {{"subject", "only subjects that hold this text, such as fused.cu"}},
      {"sagebuild cache explain --subject fused.cu"},
      [&cli](const Settings& settings, Reporter&) { return run_explain(cli, settings); });
}

}  // namespace sagebuild
