#include "sagebuild/probe/stand_in.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sagebuild/base/error.hpp"
#include "sagebuild/sys/files.hpp"
#include "sagebuild/sys/machine.hpp"
#include "sagebuild/sys/paths.hpp"

namespace sagebuild {
namespace {

namespace fs = std::filesystem;

// One file per call, named by time, for what a link takes is what was compiled last before it; and
// by process, since upstream runs several at once.
void record(const std::string& folder, const std::string& what, nlohmann::json content) {
  content["cwd"] = working_folder().string();
  content["what"] = what;
  // Since the machine started, for all processes
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  const auto nanoseconds = std::chrono::nanoseconds(time).count();
  write_file(fs::path(folder) / fmt::format("{:020}-{}.json", nanoseconds, getpid()),
             content.dump());
}

int as_ninja(const std::vector<std::string>& argv, const std::string& folder) {
  if (std::ranges::find(argv, "--version") != argv.end()) {
    std::puts("1.11.1");
    return 0;
  }
  const auto change = std::ranges::find(argv, "-C");
  if (change != argv.end() && change + 1 != argv.end()) go_to_folder(*(change + 1));
  record(folder, "ninja", {{"argv", argv}, {"text", read_file("build.ninja")}});
  return 0;
}

int as_real_compiler(const std::vector<std::string>& argv, const std::string& compiler) {
  std::vector<std::string> words = argv;
  words.front() = compiler;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execv(compiler.c_str(), pointers.data());
  std::fprintf(stderr, "cannot start %s: %s\n", compiler.c_str(), errno_text(errno).c_str());
  return 127;
}

// What setuptools compiles for a module goes into build/temp.PLATFORM; a probe of what a compiler
// can do goes elsewhere, and must be done.
bool is_for_a_module(const fs::path& object) {
  return std::ranges::any_of(absolute_path(object), [](const fs::path& part) {
    return part.native().starts_with("temp.linux");
  });
}

// Whether a compile was only written down: then nothing has its object but an empty file.
bool take_compile(const std::vector<std::string>& argv, const std::string& folder,
                  bool takes_modules) {
  if (std::ranges::find(argv, "-c") == argv.end()) return false;
  const auto output = std::ranges::find(argv, "-o");
  const bool taken = takes_modules && output != argv.end() && output + 1 != argv.end() &&
                     is_for_a_module(*(output + 1));
  record(folder, "compile", {{"argv", argv}, {"done", !taken}});
  if (taken) write_file(*(output + 1), "");
  return taken;
}

int as_nvcc(const std::vector<std::string>& argv, const std::string& folder,
            const std::string& nvcc) {
  return take_compile(argv, folder, true) ? 0 : as_real_compiler(argv, nvcc);
}

int as_compiler(const std::vector<std::string>& argv, const std::string& folder) {
  const auto output = std::ranges::find(argv, "-o");
  const bool has_output = output != argv.end() && output + 1 != argv.end();
  if (std::ranges::find(argv, "-shared") != argv.end() && has_output) {
    record(folder, "link", {{"argv", argv}});
    write_file(*(output + 1), "");
    return 0;
  }
  // A compile that does not go through ninja. Where nothing stands in for nvcc it is done: the
  // module is not understood.
  if (take_compile(argv, folder, environment_value(kRealNvccVariable).has_value())) return 0;
  return as_real_compiler(argv, environment_value(kRealCompilerVariable).value_or("/usr/bin/g++"));
}

}  // namespace

std::optional<int> run_as_stand_in(const std::vector<std::string>& argv) {
  const auto folder = environment_value(kRecordVariable);
  if (!folder || argv.empty()) return std::nullopt;
  const std::string name = fs::path(argv.front()).filename();
  try {
    if (name == "ninja") return as_ninja(argv, *folder);
    if (name == "g++") return as_compiler(argv, *folder);
    const auto nvcc = environment_value(kRealNvccVariable);
    if (name == "nvcc" && nvcc) return as_nvcc(argv, *folder, *nvcc);
  } catch (const Error& error) {
    std::fputs(error.rendered().c_str(), stderr);
    return 1;
  }
  return std::nullopt;
}

}  // namespace sagebuild
