#pragma once
// What this machine allows: cores and memory as the cgroup (v1 and v2) limits them, and the
// terminal.

#include <cstdint>
#include <optional>
#include <string>

namespace sagebuild {

unsigned available_cores();          // affinity and cgroup quota, at least 1
std::uint64_t available_memory();    // bytes: the smaller of RAM and the cgroup's limit
std::uint64_t oom_kills();           // the cgroup's oom_kill counter, 0 where there is none
std::string machine_architecture();  // "x86_64", "aarch64" (uname)

bool is_terminal(int fd);
unsigned terminal_width(int fd);  // columns, 80 if unknown
bool in_ci();                     // CI is set, and not to "false" or "0"
// NO_COLOR, then CLICOLOR_FORCE or FORCE_COLOR, then a terminal with TERM not "dumb", outside CI.
bool wants_color(int fd);

// Unset and empty are both nothing
std::optional<std::string> environment_value(const std::string& name);

// The one time that a build knows, in seconds since 1970: SOURCE_DATE_EPOCH, else 1980-01-01, the
// first that a zip can hold. Throws Error{usage} if it is no number or none that a zip can hold.
std::int64_t source_date_epoch();

}  // namespace sagebuild
