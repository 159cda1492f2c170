// What people paste as a source: pip's requirement for a git URL, and the address of a page of a
// forge.
#include <fmt/format.h>

#include <filesystem>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/remote_url.hpp"

namespace sagebuild {
namespace {

// "https://host/owner/name" is what a forge's page shows of a repository.
constexpr std::size_t kRepositoryParts = 5;  // "https:", "", host, owner, name

// Without what may be a password.
std::string shown(std::string_view url) {
  const auto remote = parse_remote_url(url);
  return remote ? remote->url : std::string(url);
}

void set_once(std::string& field, std::string value, std::string_view option,
              std::string_view text) {
  if (!field.empty() && field != value) {
    throw Error(ErrorKind::usage,
                fmt::format("--{} says '{}' and the source '{}' says '{}'", option, field,
                            shown(text), value),
                {}, fmt::format("leave out one of them"));
  }
  field = std::move(value);
}

// "#subdirectory=DIR&egg=NAME"
void take_fragment(std::string& location, std::string_view text, SourceSpec& spec) {
  const auto hash = location.find('#');
  if (hash == std::string::npos) return;
  for (const std::string_view item : split(std::string_view(location).substr(hash + 1), "&")) {
    std::string_view value = item;
    if (take_prefix(value, "subdirectory="))
      set_once(spec.subfolder, std::string(value), "subfolder", text);
    else if (!item.starts_with("egg="))
      throw Error(ErrorKind::usage,
                  fmt::format("cannot read '#{}' of the source '{}'", item, shown(text)), {},
                  "only #subdirectory=FOLDER is known; --ref and --subfolder say the same");
  }
  location.resize(hash);
}

// pip's "git+https://host/path@ref"; an "@" before the path is the user's.
void take_ref_of_requirement(std::string& location, std::string_view text, SourceSpec& spec) {
  if (!location.starts_with("git+")) return;
  const auto path = location.find('/', location.find("://") + 3);
  const auto at = location.rfind('@');
  if (at == std::string::npos || path == std::string::npos || at < path) return;
  set_once(spec.ref, location.substr(at + 1), "ref", text);
  location.resize(at);
}

std::vector<std::string> parts_of(std::string_view url) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= url.size();) {
    const auto end = std::min(url.find('/', begin), url.size());
    parts.emplace_back(url.substr(begin, end - begin));
    begin = end + 1;
  }
  while (!parts.empty() && parts.back().empty()) parts.pop_back();
  return parts;
}

// ".../tree/REF", ".../commit/SHA", ".../pull/N"; GitLab puts "-" before them.
void take_page(std::string& location, std::string_view text, SourceSpec& spec) {
  if (!location.starts_with("https://") && !location.starts_with("http://")) return;
  const std::vector<std::string> parts = parts_of(location);
  std::size_t at = kRepositoryParts;
  if (at < parts.size() && parts[at] == "-") ++at;
  if (at + 1 >= parts.size()) return;
  const std::string& kind = parts[at];
  if (kind != "tree" && kind != "commit" && kind != "pull" && kind != "blob") return;
  const std::string repository = join({parts.begin(), parts.begin() + kRepositoryParts}, "/");
  const std::string ref =
      kind == "pull" ? fmt::format("pull/{}/head", parts[at + 1]) : parts[at + 1];
  const bool one_word = at + 2 == parts.size();
  if (kind == "blob" || (kind == "tree" && !one_word)) {
    const auto last = kind == "blob" ? parts.end() - 1 : parts.end();
    const std::string folder = join({parts.begin() + static_cast<long>(at) + 2, last}, "/");
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is the address of a page, not of a repository", shown(text)),
                {"where its ref ends and its folder begins cannot be told"},
                fmt::format("--source {} --ref {}{}", shown(repository), ref,
                            folder.empty() ? "" : " --subfolder " + folder));
  }
  set_once(spec.ref, ref, "ref", text);
  location = repository;
}

}  // namespace

SourceSpec read_source(std::string_view text, std::string ref, std::string subfolder) {
  SourceSpec spec;
  spec.ref = std::move(ref);
  spec.subfolder = std::move(subfolder);
  std::string location(text);
  const auto name_end = location.find(" @ ");  // "name @ git+https://..."
  if (name_end != std::string::npos && location.find("://") != std::string::npos)
    location.erase(0, name_end + 3);
  if (location.find("://") != std::string::npos) {
    const std::string whole = location;
    take_fragment(location, whole, spec);
    take_ref_of_requirement(location, whole, spec);
    take_page(location, whole, spec);
  }
  if (spec.subfolder.starts_with('/') ||
      ("/" + spec.subfolder + "/").find("/../") != std::string::npos) {
    throw Error(ErrorKind::usage,
                fmt::format("'{}' is no folder inside the source", spec.subfolder), {},
                "--subfolder is relative to the source's top, without '..'");
  }
  // Modules are named by where they lie, so "./a" and "a//b" must not reach setuptools.
  spec.subfolder = std::filesystem::path(spec.subfolder).lexically_normal().string();
  if (spec.subfolder == ".") spec.subfolder.clear();
  if (spec.subfolder.ends_with('/')) spec.subfolder.pop_back();
  spec.location = std::move(location);
  return spec;
}

}  // namespace sagebuild
