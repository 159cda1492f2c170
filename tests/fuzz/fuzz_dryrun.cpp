// Any text as what `nvcc --dryrun` prints: a whole graph, or the reason why plain nvcc compiles.

#include <cstdlib>

#include "sagebuild/nvcc/dryrun.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const sagebuild::DryRunOutcome outcome = sagebuild::parse_dryrun(text);
  if (outcome.run.has_value() == !outcome.reason.empty()) std::abort();
  if (!outcome.run) return 0;
  const sagebuild::DryRun& run = *outcome.run;
  if (run.cudafe.empty() || run.host_compile.empty() || run.fatbinary.empty()) std::abort();
  for (const sagebuild::VirtualPass& pass : run.passes)
    if (pass.cicc.empty() || pass.preprocess.empty()) std::abort();
  return 0;
}
