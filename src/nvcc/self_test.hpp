#pragma once
// Whether a toolkit does what taking its nvcc apart relies on (docs/nvcc.md, "The self-test").
// Private to this folder.

#include "sagebuild/nvcc/toolkit.hpp"

namespace sagebuild {

// Compiles a small source with nvcc and step by step (some seconds), once per digest of the tools,
// which are in `toolkit` already; then the cache remembers it. What does not work is switched off
// in `toolkit`, with a warning. Throws Error where nvcc itself cannot compile the source.
void test_toolkit(Toolkit& toolkit, const Words& nvcc, ActionCache& cache, Reporter& reporter);

}  // namespace sagebuild
