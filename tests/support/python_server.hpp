#pragma once
// A Python script that serves on loopback while the object lives. Contract with the script: it
// prints one line of JSON (its addresses) on standard output when it is ready, and ends when its
// standard input closes, so nothing outlives a killed test.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace sagebuild {

inline std::string test_source(const std::string& relative) {
  const char* root = std::getenv("SAGEBUILD_TEST_SOURCE");
  return (root != nullptr ? std::string(root) : std::string(".")) + "/" + relative;
}

class PythonServer {
 public:
  explicit PythonServer(const std::string& script, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"python3", test_source(script)});
    std::vector<char*> argv;
    for (std::string& word : arguments) argv.push_back(word.data());
    argv.push_back(nullptr);
    int input[2];
    int output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
      throw std::runtime_error("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    const int failed = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    stop_ = input[1];
    if (failed != 0) throw std::runtime_error("cannot start python3");
    std::string line;
    char c = 0;
    while (::read(output[0], &c, 1) == 1 && c != '\n') line += c;
    close(output[0]);
    ready_ = nlohmann::json::parse(line);
  }
  ~PythonServer() {
    close(stop_);
    waitpid(pid_, nullptr, 0);
  }
  PythonServer(const PythonServer&) = delete;
  PythonServer& operator=(const PythonServer&) = delete;

  std::string operator[](const std::string& key) const { return ready_.at(key).get<std::string>(); }

 private:
  pid_t pid_ = -1;
  int stop_ = -1;
  nlohmann::json ready_;
};

}  // namespace sagebuild
