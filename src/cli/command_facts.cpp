#include "cli/command_facts.hpp"

namespace sagebuild {
namespace {

OptionFacts facts_of(const CLI::Option& option) {
  OptionFacts facts;
  for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  facts.group = option.get_group();
  facts.help = option.get_description();
  if (option.get_items_expected_max() > 0) facts.value = option.get_type_name();
  facts.is_list = option.get_expected_max() == CLI::detail::expected_max_vector_size;
  return facts;
}

void add(const CLI::App& app, const std::string& path, std::vector<CommandFacts>& all) {
  CommandFacts command{path, app.get_description(), app.get_footer(), {}, {}, {}};
  for (const CLI::Option* option : app.get_options({})) {
    if (option->get_group().empty()) continue;
    OptionFacts facts = facts_of(*option);
    if (option->get_positional()) {
      if (facts.value.empty()) facts.value = option->get_name(/*positional=*/true);
      command.operands.push_back(std::move(facts));
    } else {
      command.options.push_back(std::move(facts));
    }
  }
  const auto below = app.get_subcommands(
      [](const CLI::App* one) { return !one->get_name().empty() && !one->get_group().empty(); });
  for (const CLI::App* one : below)
    command.below.emplace_back(one->get_name(), one->get_description());
  all.push_back(std::move(command));
  for (const CLI::App* one : below)
    add(*one, path.empty() ? one->get_name() : path + " " + one->get_name(), all);
}

}  // namespace

std::vector<CommandFacts> command_facts(const CLI::App& app) {
  std::vector<CommandFacts> all;
  add(app, "", all);
  return all;
}

}  // namespace sagebuild
