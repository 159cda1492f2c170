#include "sagebuild/recipe/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sagebuild/base/digest.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/base/toml.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

Arch arch_at(const TomlTable& table, std::string_view key) {
  try {
    return parse_arch(table.required_text(key));
  } catch (const Error& error) {
    table.fail(error.message);
  }
}

RecipeTarget read_target(const TomlTable& table) {
  RecipeTarget target;
  target.request = arch_at(table, "request");
  target.virtual_arch = table.has("virtual") ? arch_at(table, "virtual") : target.request;
  target.real = table.has("real") ? arch_at(table, "real") : target.virtual_arch;
  target.ptx_allowed = table.boolean("ptx").value_or(false);
  target.reason = table.text("reason").value_or("");
  table.finish();
  // A specific target runs on nothing else, and its PTX does not either: ptxas refuses it
  // (docs/nvcc.md, "What architectures share").
  if (target.ptx_allowed && target.virtual_arch.feature != ArchFeature::plain) {
    table.fail(fmt::format("'ptx' is of no use for {}: no other GPU can take it",
                           compute_name(target.virtual_arch)));
  }
  return target;
}

long long from_one(const TomlTable& table, std::string_view key, long long most,
                   long long otherwise) {
  const auto value = table.integer(key);
  if (value && (*value < 1 || *value > most))
    table.fail(fmt::format("'{}' is from 1 to {}", key, most));
  return value.value_or(otherwise);
}

StageCosts read_costs(const TomlTable& table) {
  StageCosts costs;
  costs.cicc_seconds = static_cast<double>(from_one(table, "cicc_seconds", 36000, 12));
  costs.ptxas_seconds = static_cast<double>(from_one(table, "ptxas_seconds", 36000, 8));
  table.finish();
  return costs;
}

ArchList arch_list(const TomlTable& table, const std::string& text) {
  try {
    return parse_arch_list(text);
  } catch (const Error& error) {
    table.fail(error.message);
  }
}

MayTrap read_may_trap(const TomlTable& table) {
  MayTrap may{arch_list(table, table.required_text("archs")), table.texts("kernels"),
              table.required_text("reason")};
  if (may.kernels.empty()) table.fail("'kernels' is missing: texts in the names of kernels");
  table.finish();
  return may;
}

std::optional<Version> version_at(const TomlTable& table, std::string_view key) {
  const auto text = table.text(key);
  if (!text) return std::nullopt;
  const auto version = parse_version(*text);
  if (!version) table.fail(fmt::format("'{}' is no version", *text));
  return version;
}

RecipeModule read_module(const TomlTable& table) {
  RecipeModule module;
  module.name = table.required_text("name");
  module.reason = table.text("reason").value_or("");
  std::set<Arch> requests;
  for (const TomlTable& row : table.tables("targets")) {
    module.targets.push_back(read_target(row));
    const Arch request = module.targets.back().request;
    if (!requests.insert(request).second)
      row.fail(fmt::format("'{}' has two targets", dotted(request)));
  }
  if (const auto costs = table.table("costs")) module.costs = read_costs(*costs);
  module.parts = static_cast<unsigned>(from_one(table, "parts", 64, 1));
  for (const TomlTable& row : table.tables("may_trap"))
    module.may_trap.push_back(read_may_trap(row));
  if (const auto gpus = table.text("needed_by")) module.needed_by = arch_list(table, *gpus);
  module.since = version_at(table, "since");
  module.until = version_at(table, "until");
  if (module.targets.empty()) table.fail(fmt::format("module '{}' has no targets", module.name));
  table.finish();
  std::ranges::sort(module.targets, {}, &RecipeTarget::request);
  return module;
}

// "DIGEST PATH": the path is for people.
std::set<std::string, std::less<>> read_version(const TomlTable& table) {
  (void)table.required_text("version");
  std::set<std::string, std::less<>> digests;
  for (const auto& line : table.texts("files")) {
    const std::string digest = line.substr(0, line.find(' '));
    try {
      digests.insert(digest_from_hex(digest).hex());
    } catch (const Error&) {
      table.fail(fmt::format("'{}' does not begin with a digest", line));
    }
  }
  if (digests.empty()) table.fail("'files' is missing: the sources for which it was proved");
  table.finish();
  return digests;
}

KnownBad read_known_bad(const TomlTable& table) {
  KnownBad bad{table.text("tag").value_or(""),
               table.texts("commits"),
               {},
               table.required_text("reason"),
               table.text("mended_by").value_or("")};
  constexpr std::string_view kHex = "0123456789abcdef";
  const bool are_commits = std::ranges::all_of(bad.commits, [&](const std::string& commit) {
    return commit.size() >= 7 && commit.find_first_not_of(kHex) == std::string::npos;
  });
  if (bad.commits.empty() || !are_commits)
    table.fail("'commits' is a list of commits, each of 7 or more hexadecimal digits");
  if (const auto archs = table.text("archs")) bad.archs = arch_list(table, *archs);
  table.finish();
  return bad;
}

// One of `known` each; those of the struct where the file has none.
void read_words(const TomlTable& table, std::string_view key, const std::set<std::string>& known,
                std::vector<std::string>& words) {
  if (!table.has(key)) return;
  words = table.texts(key);
  const bool all_known =
      std::ranges::all_of(words, [&](const std::string& word) { return known.count(word) != 0; });
  if (std::set(words.begin(), words.end()).size() != words.size())
    table.fail(fmt::format("'{}' has one of its words twice", key));
  if (words.empty() || !all_known)
    table.fail(fmt::format("'{}' is a list of {}", key, join({known.begin(), known.end()}, ", ")));
}

double tolerance_at(const TomlTable& table, std::string_view key) {
  const auto value = table.number(key);
  if (!value) table.fail(fmt::format("'{}' is missing", key));
  if (!(*value > 0 && *value < 1)) table.fail(fmt::format("'{}' is between 0 and 1", key));
  return *value;
}

// "package.function", with no part empty.
bool is_full_name(std::string_view name) {
  return name.find('.') != name.npos && name.find("..") == name.npos && !name.starts_with('.') &&
         !name.ends_with('.');
}

void read_arguments(const TomlTable& table, GpuCheck& check) {
  for (const std::string& name : table.keys()) {
    if (name == check.causal || (name == "tensor_layout" && check.layouts.size() > 1))
      table.fail(fmt::format("'{}' is given by the check itself", name));
    const TomlScalar value = table.required_scalar(name);
    if (const auto* number = std::get_if<double>(&value); number && !std::isfinite(*number))
      table.fail(fmt::format("'{}' is no finite number", name));
    check.arguments[name] = value;
  }
}

GpuCheck read_gpu_check(const TomlTable& table) {
  GpuCheck check{table.required_text("function"), arch_list(table, table.required_text("archs"))};
  if (!is_full_name(check.function))
    table.fail("'function' is its full name, such as package.function");
  const bool are_gpus = std::ranges::all_of(check.archs, [](const ArchRequest& request) {
    return request == ArchRequest{{request.arch.major, request.arch.minor}};
  });
  if (!are_gpus) table.fail("'archs' is a list of GPUs, without letters and +PTX");
  check.module = table.text("module").value_or("");
  read_words(table, "layouts", {"HND", "NHD", "varlen"}, check.layouts);
  if (check.layouts.size() > 1 && std::ranges::find(check.layouts, "varlen") != check.layouts.end())
    table.fail("'varlen' is a layout of its own: a function takes other arguments for it");
  read_words(table, "dtypes", {"bfloat16", "float16"}, check.dtypes);
  check.causal = table.text("causal").value_or(check.causal);
  if (const auto arguments = table.table("arguments")) read_arguments(*arguments, check);
  check.grouped = table.boolean("grouped").value_or(check.grouped);
  check.similarity = tolerance_at(table, "similarity");
  check.relative_l1 = tolerance_at(table, "relative_l1");
  check.since = version_at(table, "since");
  check.reason = table.text("reason").value_or("");
  table.finish();
  return check;
}

}  // namespace

const Recipe& Recipes::named(std::string_view name) const {
  const auto found = std::ranges::find(recipes_, name, &Recipe::name);
  if (found != recipes_.end()) return *found;
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes_) names.push_back(recipe.name);
  const auto close = nearest(name, names);
  throw Error(ErrorKind::usage, fmt::format("unknown recipe '{}'", name), {},
              close ? fmt::format("did you mean '{}'?", *close)
                    : fmt::format("known are: {}", join(names, ", ")));
}

Recipe load_recipe(const fs::path& file) {
  const TomlTable table = load_toml(file);
  Recipe recipe;
  recipe.file = file;
  recipe.name = table.required_text("name");
  recipe.package = table.text("package").value_or(recipe.name);
  recipe.url = table.text("url").value_or("");
  recipe.ref = table.text("ref").value_or("");
  recipe.subfolder = table.text("subfolder").value_or("");
  recipe.detect = table.texts("detect");
  if (recipe.detect.empty()) table.fail("'detect' is missing: texts that setup.py must hold");
  recipe.record_archs = table.text("record_archs").value_or("");
  recipe.may_miss = table.texts("may_miss");
  for (const TomlTable& version : table.tables("proved"))
    recipe.proved.versions.push_back(read_version(version));
  for (auto& macro : table.texts("proved_macros")) recipe.proved.macros.insert(std::move(macro));
  for (const TomlTable& module : table.tables("module"))
    recipe.modules.push_back(read_module(module));
  for (const TomlTable& bad : table.tables("known_bad"))
    recipe.known_bad.push_back(read_known_bad(bad));
  for (const TomlTable& check : table.tables("gpu_check"))
    recipe.gpu_checks.push_back(read_gpu_check(check));
  if (const auto archs = table.text("default_archs"))
    recipe.default_archs = arch_list(table, *archs);
  // The patch engine's part of the file; it reads and checks these itself.
  for (const auto* theirs : {"shape", "rule", "insert", "insert_file"}) (void)table.has(theirs);
  table.finish();
  return recipe;
}

Recipes load_recipes(const fs::path& folder, const std::optional<fs::path>& extra) {
  std::vector<fs::path> files;
  for (const fs::path& path : entries_if_readable(folder)) {
    if (path.extension() == ".toml") files.push_back(path);
  }
  std::vector<Recipe> recipes;
  if (extra && !is_file(*extra)) {
    throw Error(ErrorKind::usage, fmt::format("there is no recipe file '{}'", extra->string()), {},
                "--recipe takes a name, such as sageattention, or a file (with '/' or .toml)");
  }
  if (extra) recipes.push_back(load_recipe(*extra));
  for (const fs::path& file : files) {
    Recipe recipe = load_recipe(file);
    const bool replaced = extra && recipe.name == recipes.front().name;
    if (!replaced) recipes.push_back(std::move(recipe));
  }
  if (recipes.empty())
    throw Error(ErrorKind::environment, fmt::format("no recipes in '{}'", folder.string()));
  return Recipes(std::move(recipes), extra.has_value());
}

}  // namespace sagebuild
