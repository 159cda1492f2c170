#include "sagebuild/nvcc/dryrun.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sagebuild/base/error.hpp"
#include "sagebuild/base/options.hpp"
#include "sagebuild/base/strings.hpp"
#include "sagebuild/sys/process.hpp"

namespace sagebuild {
namespace {

enum class Role {
  host_preprocess,
  device_preprocess,
  cudafe,
  cicc,
  ptxas,
  fatbinary,
  host_compile,
  unknown
};

struct NotUnderstood {
  std::string reason;
};

[[noreturn]] void give_up(std::string reason) { throw NotUnderstood{std::move(reason)}; }

bool has(const Words& argv, std::string_view word) {
  return std::ranges::find(argv, word) != argv.end();
}

bool has_prefix(const Words& argv, std::string_view prefix) {
  return std::ranges::any_of(argv, [&](const auto& word) { return word.starts_with(prefix); });
}

Role role_of(const Words& argv) {
  const std::string program = std::filesystem::path(argv.front()).filename();
  if (program == "cudafe++") return Role::cudafe;
  if (program == "cicc") return Role::cicc;
  if (program == "ptxas") return Role::ptxas;
  if (program == "fatbinary") return Role::fatbinary;
  // The host compiler may have any name (-ccbin), but nvcc gives every run of it the list of
  // architectures.
  if (!has_prefix(argv, "-D__CUDA_ARCH_LIST__=")) return Role::unknown;
  if (has(argv, "-E"))
    return has_prefix(argv, "-D__CUDA_ARCH__=") ? Role::device_preprocess : Role::host_preprocess;
  const bool makes_object = has(argv, "-c") && std::ranges::any_of(argv, [](const auto& word) {
                              return word.ends_with(".cudafe1.cpp");
                            });
  return makes_object ? Role::host_compile : Role::unknown;
}

std::string required(const Words& argv, std::string_view option) {
  if (auto value = option_value(argv, option)) return *value;
  give_up(fmt::format("nvcc printed a {} command without {}",
                      std::filesystem::path(argv.front()).filename().string(), option));
}

// Everything that was printed, by role, before it is joined.
struct Printed {
  std::map<std::string, Words> device_preprocess;  // by output
  std::vector<Words> cicc, ptxas;
};

std::vector<std::string> words_of_line(std::string_view line, const std::string& cicc_path) {
  const std::string text = replaced(std::string(line), "$CICC_PATH", cicc_path);
  if (text.find_first_of("$`") != std::string::npos)
    give_up("a path or flag holds '$' or a backquote, which nvcc misquotes");
  if (text.find('\'') != std::string::npos)
    give_up("a path or flag holds a single quote, which nvcc misquotes");
  try {
    return shell_words(text);
  } catch (const Error&) {
    give_up(fmt::format("nvcc printed a line with an open quote: {}", line));
  }
}

void take_once(Words& place, Words argv, std::string_view what) {
  if (!place.empty()) give_up(fmt::format("nvcc printed {} more than once", what));
  place = std::move(argv);
}

void take(DryRun& run, Printed& printed, Words argv) {
  if (std::ranges::any_of(
          argv, [](const auto& word) { return word.starts_with(">") || word.starts_with("2>"); }))
    give_up("nvcc printed a redirected command");
  switch (role_of(argv)) {
    case Role::host_preprocess:
      return take_once(run.host_preprocess, std::move(argv), "a host preprocess");
    case Role::cudafe:
      return take_once(run.cudafe, std::move(argv), "cudafe++");
    case Role::fatbinary:
      return take_once(run.fatbinary, std::move(argv), "fatbinary");
    case Role::host_compile:
      return take_once(run.host_compile, std::move(argv), "a host compile");
    case Role::device_preprocess: {
      const auto output = required(argv, "-o");
      take_once(printed.device_preprocess[output], std::move(argv),
                "a device preprocess of one architecture");
      return;
    }
    case Role::cicc:
      printed.cicc.push_back(std::move(argv));
      return;
    case Role::ptxas:
      printed.ptxas.push_back(std::move(argv));
      return;
    case Role::unknown:
      give_up(fmt::format("nvcc printed a command that is not known here: {}", argv.front()));
  }
}

void join_passes(DryRun& run, Printed& printed) {
  for (auto& cicc : printed.cicc) {
    VirtualPass pass;
    pass.arch = required(cicc, "-arch");
    pass.ptx = required(cicc, "-o");
    for (auto& [output, argv] : printed.device_preprocess)
      if (has(cicc, output)) pass.preprocess = argv;
    if (pass.preprocess.empty())
      give_up(fmt::format("no preprocess for {} is among nvcc's commands", pass.arch));
    pass.cicc = std::move(cicc);
    run.passes.push_back(std::move(pass));
  }
  for (auto& ptxas : printed.ptxas) {
    const auto pass =
        std::ranges::find_if(run.passes, [&](const auto& one) { return has(ptxas, one.ptx); });
    if (pass == run.passes.end()) give_up("a ptxas command reads PTX that no cicc command makes");
    pass->real.push_back({required(ptxas, "-arch"), ptxas, option_value(ptxas, "-o").value_or("")});
  }
  if (run.passes.size() != printed.device_preprocess.size())
    give_up("a preprocessed text is read by no cicc command");
}

// The graph must be whole, and all it joins must have been printed.
void require_whole(const DryRun& run) {
  if (run.host_preprocess.empty()) give_up("nvcc printed no host preprocess");
  if (run.cudafe.empty()) give_up("nvcc printed no cudafe++ command");
  if (run.fatbinary.empty()) give_up("nvcc printed no fatbinary command");
  if (run.host_compile.empty()) give_up("nvcc printed no host compile");
  if (run.passes.empty()) give_up("nvcc printed no cicc command");
  if (has(run.cudafe, "--device-c"))
    give_up("relocatable device code needs nvcc's own device link");
  if (!has(run.cudafe, required(run.host_preprocess, "-o")))
    give_up("cudafe++ does not read the host preprocess");
  if (!has(run.host_compile, required(run.cudafe, "--gen_c_file_name")))
    give_up("the host compile does not read what cudafe++ makes");
  for (const auto& word : run.fatbinary) {
    const auto file = word.find(",file=");
    if (!word.starts_with("--image3=") || file == std::string::npos) continue;
    const auto name = word.substr(file + 6);
    const bool made = std::ranges::any_of(run.passes, [&](const auto& pass) {
      return pass.ptx == name ||
             std::ranges::any_of(pass.real, [&](const auto& real) { return real.cubin == name; });
    });
    if (!made) give_up(fmt::format("fatbinary reads '{}', which no command makes", name));
  }
}

bool is_assignment(std::string_view line) {
  const auto equals = line.find('=');
  return equals != std::string_view::npos && equals > 0 &&
         std::ranges::all_of(line.substr(0, equals), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

DryRun parse(std::string_view text) {
  DryRun run;
  Printed printed;
  std::string cicc_path;
  for (std::string_view line : lines_of(text)) {
    if (!take_prefix(line, "#$ ")) {
      if (!trimmed(line).empty()) run.messages.emplace_back(line);
      continue;
    }
    if (is_assignment(line)) {
      if (take_prefix(line, "CICC_PATH="))
        cicc_path = line;
      else if (take_prefix(line, "PATH="))
        run.path = line;
      continue;
    }
    if (line.starts_with("-- Filter Dependencies --")) continue;
    Words argv = words_of_line(line, cicc_path);
    if (!argv.empty()) take(run, printed, std::move(argv));
  }
  join_passes(run, printed);
  require_whole(run);
  return run;
}

// Of a text that is not understood otherwise.
std::vector<std::filesystem::path> printed_programs(std::string_view text) {
  std::string cicc_path, path;
  std::vector<std::filesystem::path> programs;
  for (std::string_view line : lines_of(text)) {
    if (!take_prefix(line, "#$ ") || line.starts_with("-- Filter Dependencies --")) continue;
    if (is_assignment(line)) {
      if (take_prefix(line, "CICC_PATH="))
        cicc_path = line;
      else if (take_prefix(line, "PATH="))
        path = line;
      continue;
    }
    const auto words = split(line, " ");
    if (words.empty()) continue;
    const std::string name =
        replaced(replaced(std::string(words.front()), "\"", ""), "$CICC_PATH", cicc_path);
    std::filesystem::path program = find_program(name, path).value_or(name);
    if (std::ranges::find(programs, program) == programs.end())
      programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace

DryRunOutcome parse_dryrun(std::string_view text) {
  try {
    return {parse(text), ""};
  } catch (const NotUnderstood& problem) {
    return {std::nullopt, problem.reason, printed_programs(text)};
  }
}

DryRunOutcome dry_run(const Words& argv, const std::filesystem::path& source,
                      const std::filesystem::path& cwd) {
  Command command;
  command.argv = argv;
  command.argv.insert(command.argv.end(),
                      {"--dryrun", "--keep", "-c", source.string(), "-o", "dryrun.o"});
  command.cwd = cwd;
  const ProcessResult result = run(command);
  if (!result.ok()) {
    return {std::nullopt, fmt::format("nvcc --dryrun ended with {}: {}", result.status_text(),
                                      trimmed(result.diagnostics))};
  }
  return parse_dryrun(result.diagnostics);
}

std::optional<std::string> option_value(const Words& argv, std::string_view option) {
  for (std::size_t at = 0; at < argv.size(); ++at)
    if (const auto value = value_of(argv, at, {option})) return std::string(*value);
  return std::nullopt;
}

Words renamed(const Words& argv, const std::vector<std::pair<std::string, std::string>>& names) {
  Words result = argv;
  for (auto& word : result) {
    for (const auto& [from, to] : names) {
      if (word == from) {
        word = to;
        break;
      }
      if (word.size() > from.size() && word.ends_with("=" + from)) {
        word.replace(word.size() - from.size(), from.size(), to);
        break;
      }
    }
  }
  return result;
}

}  // namespace sagebuild
