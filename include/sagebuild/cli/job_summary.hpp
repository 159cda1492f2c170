#pragma once
// What a job's page on GitHub says of a run: Markdown, appended to the file that
// GITHUB_STEP_SUMMARY names. Texts of others are escaped, secrets redacted.

#include <string>
#include <string_view>

#include "sagebuild/app/build.hpp"
#include "sagebuild/app/inspect.hpp"
#include "sagebuild/app/upload.hpp"

namespace sagebuild {

bool wants_job_summary();  // GITHUB_STEP_SUMMARY is set

// Nothing without that file. One that cannot be written is said on standard error and ends nothing.
void append_job_summary(std::string_view markdown);

// The wheel, its modules by architecture, the GPUs it runs on, what was found and how to install
// it.
std::string summary_of_wheel(const Verification& verification, std::string_view install);
// Steps, cache, time and memory; stands behind the wheel's.
std::string summary_of_run(const BuildOutcome& outcome);
std::string summary_of_upload(const UploadOutcome& outcome);
std::string summary_of_error(const Error& error);

}  // namespace sagebuild
