#pragma once
// What ran when, as a picture: a file that ui.perfetto.dev and chrome://tracing open.

#include <string>
#include <vector>

#include "sagebuild/model/step.hpp"

namespace sagebuild {

// The Trace Event Format (JSON): one lane per parallel place, one bar per step, with its kind,
// subject, CPU seconds and memory. Steps that came from the cache are grey, say so, and are at
// least a microsecond long, so that they can be seen.
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
std::string chrome_trace(const std::vector<StepRecord>& steps);

}  // namespace sagebuild
