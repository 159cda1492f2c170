#pragma once
// The commands of a dry run with canonical names: one private folder for the source, one below it
// for each virtual architecture, and no architecture in a file's name. Then host text, stub and
// object do not change when one is added.

#include <string>
#include <vector>

#include "sagebuild/nvcc/dryrun.hpp"

namespace sagebuild {

struct RealLayout {
  std::string arch;   // "sm_89"
  Words argv;         // run in the pass's folder
  std::string cubin;  // "k.sm_89.cubin"; empty: a check of the PTX alone
};

// Runs in the folder `arch`, below the source's.
struct PassLayout {
  std::string arch;  // "compute_89"
  // Run in the recorded folder; its -o and dependency options are the caller's to add
  Words preprocess;
  Words cicc;
  std::string text;  // "k.cpp1.ii"
  std::string ptx;   // "k.ptx"
  std::string stub;  // "k.cudafe1.stub.c"
  std::vector<RealLayout> real;
};

struct ImageLayout {
  std::string kind;  // "elf", "ptx"
  std::string sm;    // "89"
  std::string file;  // "compute_89/k.sm_89.cubin"
};

struct Layout {
  std::string stem;  // of the source: "k"
  Words host_preprocess;
  std::string host_text;  // "k.cpp4.ii"
  Words cudafe;
  std::string cudafe_text;  // "k.cudafe1.cpp"
  std::vector<PassLayout> passes;
  Words fatbinary;
  std::vector<ImageLayout> images;
  std::string fatbin;    // "k.fatbin"
  std::string fatbin_c;  // "k.fatbin.c"
  Words host_compile;    // makes "k.o"
  std::string object;
  // "k.module_id"; to be written into the source's folder and into every pass's
  std::string module_id_file;
  std::string path;
};

// Either a layout, or the reason why nvcc's names were not all understood.
struct LayoutOutcome {
  Layout layout;
  std::string reason;
};

LayoutOutcome canonical_layout(const DryRun& run);

}  // namespace sagebuild
