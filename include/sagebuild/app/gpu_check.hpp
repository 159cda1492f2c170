#pragma once
// `sagebuild verify --gpu`: the functions that the wheel's recipe names are called on the GPU of
// this machine, and held against torch's own.

#include <filesystem>
#include <optional>

#include "sagebuild/app/gpu_report.hpp"
#include "sagebuild/env/python.hpp"
#include "sagebuild/model/wheel_facts.hpp"
#include "sagebuild/report/reporter.hpp"
#include "sagebuild/verify/promise.hpp"

namespace sagebuild {

// Throws Error{environment} with the driver's reason if it gives no GPU. Needs no Python.
void require_gpu();

// Takes the Python of `choice`, else makes one, as import_findings does. The wheel is unpacked to a
// temporary folder and nothing is installed. Each function has a process of its own, since a trap
// ruins CUDA for the rest of a process, and five minutes. Nothing for an archive that is not sound
// (the reporter is told). Throws Error{environment} if torch sees no GPU, and what python_for
// throws.
std::optional<GpuReport> check_on_gpu(const std::filesystem::path& file, const WheelFacts& facts,
                                      const Promise& promise, const PythonChoice& choice,
                                      Reporter& report);

}  // namespace sagebuild
