#include <fmt/format.h>

#include <memory>

#include "cli/command_facts.hpp"
#include "cli/completion.hpp"
#include "cli/man_page.hpp"
#include "sagebuild/base/error.hpp"
#include "sagebuild/cli/command.hpp"
#include "sagebuild/sys/files.hpp"

namespace sagebuild {

void add_completion_commands(Cli& cli) {
  const auto shell = std::make_shared<std::string>();
  CLI::App& completion = cli.add(
      "completion", "print the completion of a shell", {},
      {"source <(sagebuild completion bash)", "sagebuild completion zsh > ~/.zfunc/_sagebuild",
       "sagebuild completion fish > ~/.config/fish/completions/sagebuild.fish"},
      [&cli, shell](const Settings&, Reporter&) {
        fmt::print("{}", completion_script(command_facts(cli.app()), *shell));
        return 0;
      });
  completion.add_option("SHELL", *shell, "the shell")->type_name("bash|zsh|fish")->required();

  // For `make install` and packages.
  const auto folder = std::make_shared<std::string>();
  CLI::App& man = cli.add("man", "write a man page for each command into a folder", {},
                          {"sagebuild man build/man"}, [&cli, folder](const Settings&, Reporter&) {
                            make_folders(*folder);
                            const auto commands = command_facts(cli.app());
                            for (const CommandFacts& command : commands)
                              write_file(std::filesystem::path(*folder) / man_page_name(command),
                                         man_page(command, commands));
                            return 0;
                          });
  man.add_option("DIR", *folder, "the folder; made if it is missing")->required();
  man.group("");
}

}  // namespace sagebuild
