#pragma once
// nvcc's options, brought into one form: what steers a single nvcc run (threads, dependencies, kept
// files) is taken out, the architectures are replaced by the plan's, and what this engine does not
// know is named, so that plain nvcc gets it.

#include <filesystem>
#include <string>
#include <vector>

#include "sagebuild/model/build_plan.hpp"
#include "sagebuild/nvcc/dryrun.hpp"

namespace sagebuild {

struct NvccArguments {
  // Program first; without architectures, -std, -g and what is stripped
  Words argv;
  // -Xptxas -v was asked for: it would change the cubin's note, so it is taken out
  bool report_registers = false;
  // "--time x.csv": said to the user, because decomposing loses it
  std::vector<std::string> dropped;
  // Why plain nvcc has to compile it; empty: it can be taken apart
  std::string opaque;
};

// `prepend` and `append` are NVCC_PREPEND_FLAGS and NVCC_APPEND_FLAGS as the recording saw them.
// setup.py may have put the appended text into argv already: an append that argv ends with counts
// once.
NvccArguments normalise_nvcc(const Words& argv, std::string_view prepend = {},
                             std::string_view append = {});

// "-gencode=arch=compute_89,code=[sm_89,sm_90,compute_89]": one per virtual architecture, sorted,
// machine code first.
Words gencode_options(const std::vector<Target>& targets);

// The options, with those that nvcc hands on to the host compiler (-Xcompiler -Ix,-Iy) as words of
// their own.
Words with_host_options(const Words& argv);

// The folders of -I, -isystem and their kin, in their order; relative ones stand below `cwd`.
std::vector<std::filesystem::path> include_folders(const Words& argv,
                                                   const std::filesystem::path& cwd);

// The regular files that words name by themselves, behind '@', behind '=' or between commas:
// plugins, option files, compilers. Their content counts in keys.
std::vector<std::filesystem::path> named_files(const Words& argv, const std::filesystem::path& cwd);

// Why a compile with these options depends on files that neither its text nor its options name, as
// profiles and specs files; empty: it does not. Such a compile is not kept in the cache.
std::string reads_unnamed_files(const Words& argv);

// Whether a file of options is named, for nvcc or for a tool that it hands options on to: it may
// name others.
bool has_options_file(const Words& argv);

// The host compiler's options for a .cpp: without -g (modules are stripped) and dependency options.
Words normalise_host(const Words& argv);

}  // namespace sagebuild
