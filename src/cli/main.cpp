#include <algorithm>

#include "sagebuild/cli/command.hpp"
#include "sagebuild/probe/stand_in.hpp"
#include "sagebuild/sys/signals.hpp"
#include "sagebuild/sys/streams.hpp"

int main(int argc, char** argv) {
  using namespace sagebuild;
  open_missing_streams();
  const std::vector<std::string> words(argv, argv + argc);
  // Ninja or g++ for a recorded setup.py
  if (const auto status = run_as_stand_in(words)) return *status;
  install_signal_handlers();
  Cli cli;
  add_build_commands(cli);
  add_patch_command(cli);
  add_env_commands(cli);
  add_cache_commands(cli);
  add_inspect_commands(cli);
  add_wheel_commands(cli);
  add_upload_command(cli);
  add_hub_commands(cli);
  add_completion_commands(cli);
  return cli.run(words);
}
