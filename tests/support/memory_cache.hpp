#pragma once
// An action cache that lives as long as the object, and counts: for tests of rooms that only see the interface.

#include <map>
#include <string>
#include <vector>

#include "cache/code_text.hpp"
#include "sagebuild/model/action_cache.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

class MemoryCache : public ActionCache {
 public:
  // Keys that were looked up or stored, as "kind: subject", in order.
  std::vector<std::string> hits, misses;

  std::optional<ActionResult> lookup(const ActionKey& key) override { return noted(key, find(key.digest())); }

  bool materialize(const ActionResult& result, const Paths& destinations) override {
    for (const auto& [name, path] : destinations) {
      if (!result.files.contains(name)) return false;
      make_folders(path.parent_path());
      write_file(path, blobs_.at(result.files.at(name).digest));
    }
    return true;
  }

  ActionResult store(const ActionKey& key, const Paths& outputs, ActionResult result) override {
    return results_[key.digest()] = with_files(outputs, std::move(result));
  }

  std::optional<ActionResult> lookup_by_files(const ActionKey& key, const SearchScope& scope) override {
    for (const auto& [files, result] : by_files_[key.digest()])
      if (unchanged(files, scope) && asked_for(scope) == files.asked) return noted(key, result);
    return noted(key, std::nullopt);
  }

  ActionResult store_by_files(const ActionKey& key, const SearchScope& scope,
                              const std::vector<std::filesystem::path>& files_read, Clock::time_point,
                              const Paths& outputs, ActionResult result) override {
    Files files{{}, asked_for(scope)};
    for (const auto& file : files_read) files.digests[name_of(file, scope)] = digest_of(file, scope);
    result = with_files(outputs, std::move(result));
    by_files_[key.digest()].emplace_back(files, result);
    return result;
  }

  Digest file_digest(const std::filesystem::path& path) override { return sha256_file(path); }
  std::string explain(const ActionKey&) override { return ""; }
  void flush() override {}
  CacheCounters counters() const override { return {}; }

 private:
  struct Files {
    std::map<std::string, Digest> digests;
    std::vector<std::string> asked;  // those that are there
  };

  static std::string name_of(const std::filesystem::path& file, const SearchScope& scope) {
    for (const auto& [name, root] : scope.roots)
      if (file.native().starts_with(root.native() + "/"))
        return "{" + name + "}" + file.native().substr(root.native().size());
    return file;
  }

  static std::vector<std::string> asked_for(const SearchScope& scope) {
    std::vector<std::string> there;
    for (const auto& folder : scope.include_folders)
      for (const auto& name : scope.asked)
        if (std::filesystem::exists(folder / name)) there.push_back(name_of(folder / name, scope));
    return there;
  }

  static Digest digest_of(const std::filesystem::path& file, const SearchScope& scope) {
    return !scope.comments_count && is_code(file) ? code_digest(read_file(file)) : sha256_file(file);
  }

  static bool unchanged(const Files& files, const SearchScope& scope) {
    for (const auto& [name, digest] : files.digests) {
      std::string path = name;
      const auto end = name.find('}');
      if (end != std::string::npos) path = scope.roots.at(name.substr(1, end - 1)).native() + name.substr(end + 1);
      if (!std::filesystem::exists(path) || digest_of(path, scope) != digest) return false;
    }
    return true;
  }

  std::optional<ActionResult> find(const Digest& key) const {
    const auto found = results_.find(key);
    return found == results_.end() ? std::nullopt : std::optional(found->second);
  }

  std::optional<ActionResult> noted(const ActionKey& key, std::optional<ActionResult> result) {
    (result ? hits : misses).push_back(key.kind() + ": " + key.subject());
    return result;
  }

  ActionResult with_files(const Paths& outputs, ActionResult result) {
    for (const auto& [name, path] : outputs) {
      const std::string content = read_file(path);
      result.files[name] = {sha256(content), content.size(), false};
      blobs_[sha256(content)] = content;
    }
    return result;
  }

  std::map<Digest, ActionResult> results_;
  std::map<Digest, std::vector<std::pair<Files, ActionResult>>> by_files_;
  std::map<Digest, std::string> blobs_;
};

}  // namespace sagebuild
