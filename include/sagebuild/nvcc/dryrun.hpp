#pragma once
// `nvcc --dryrun --keep -c` taken apart: what it prints, as a small graph by role. Nothing is
// positional: a command is known by its program and options, and steps are joined by the file names
// they share (nvcc prints them in another order with dependencies or threads).

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sagebuild {

using Words = std::vector<std::string>;

// One ptxas run. `cubin` is empty for a run that only checks the PTX (nvcc prints it where a
// virtual architecture has no real one; it finds bad inline PTX).
struct RealPass {
  std::string arch;  // "sm_89"
  Words ptxas;
  std::string cubin;
};

// One device preprocess and one cicc run, with the ptxas runs that read its PTX.
struct VirtualPass {
  std::string arch;  // "compute_89"
  Words preprocess;
  Words cicc;
  std::string ptx;
  std::vector<RealPass> real;
};

// The commands as nvcc printed them: program first, words unquoted, file names nvcc's own in the
// current folder.
struct DryRun {
  Words host_preprocess;
  Words cudafe;
  std::vector<VirtualPass> passes;  // in the order of fatbinary's images
  Words fatbinary;
  Words host_compile;
  std::string path;                   // the PATH that the programs are found on
  std::vector<std::string> messages;  // "nvcc warning : ...", to be passed on
};

// Either `run`, or the reason why this compile is left to plain nvcc.
struct DryRunOutcome {
  std::optional<DryRun> run;
  std::string reason;
  // With a reason: what nvcc would start, each once, found on its PATH; what is not found there
  // stands as printed.
  std::vector<std::filesystem::path> programs{};
};

DryRunOutcome parse_dryrun(std::string_view text);

// Runs it for one source: `argv` is nvcc and its options, without -c, -o and the source. Takes
// about 10 ms.
DryRunOutcome dry_run(const Words& argv, const std::filesystem::path& source,
                      const std::filesystem::path& cwd);

// The word after `option`, or what follows "OPTION=" in one word; nothing if it does not occur.
std::optional<std::string> option_value(const Words& argv, std::string_view option);

// The file names of one command that are its own inputs and outputs (not headers): for joining,
// renaming and keys. Every occurrence of a name in `names` (a whole word, or behind "=") is
// replaced.
Words renamed(const Words& argv, const std::vector<std::pair<std::string, std::string>>& names);

}  // namespace sagebuild
