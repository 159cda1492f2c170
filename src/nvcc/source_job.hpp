#pragma once
// What is known of one source before any of its steps runs: what it is called, with which options
// it is compiled, and where its preprocessor looks. Private to this folder.

#include <memory>
#include <string>

#include "source_compile.hpp"

namespace sagebuild::nvcc {

// Warns of options that have no effect, and says why the source is not kept in the cache, if so.
// Throws Error{usage} if the source is CUDA and has no target.
std::shared_ptr<Job> job_of(const PlannedSource& source, const std::string& module,
                            std::shared_ptr<const CompileSettings> settings);

// Asks nvcc for the stages of a CUDA source (one dry run, 10 ms). Where they are not understood,
// `opaque` says why. Nothing is asked for other sources, or if it says so already.
void take_apart(Job& job);

}  // namespace sagebuild::nvcc
