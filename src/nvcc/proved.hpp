#pragma once
// What a recipe's word for our headers is worth: it was shown for certain sources, and a fork of
// the project may have others, in which a detection idiom or an overload turns out differently and
// nothing tells. So the word holds for sources that are the shown ones, token for token. Private to
// this folder.

#include "sagebuild/nvcc/checks.hpp"
#include "source_compile.hpp"

namespace sagebuild::nvcc {

// Of a file without its comments and the width of its blanks. Bytes count where that is not sure:
// raw strings, a comment that a backslash continues.
Digest source_digest(std::string_view text);

// Refuses the options or the first of `files` that is not torch's, Python's, CUDA's or the system's
// and not proved. All files must be of one version.
Refusal unproved(const ProvedSources& proved, const Words& argv, const std::vector<fs::path>& files,
                 const Job& job);

// For keys.
std::string proof_text(const ProvedSources& proved);

// The same for every file that the preprocessors of `preprocess` read; gives the step to wait for.
StepId add_source_check(StepGraph& graph, const JobPtr& job, std::vector<StepId> preprocess,
                        std::vector<Depfile> depfiles);

}  // namespace sagebuild::nvcc
