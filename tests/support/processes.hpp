#pragma once
// Looks at /proc, because kill(-group, 0) also finds zombies, which a container's init may never reap.

#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sagebuild {

// Whether a process of the group still runs.
inline bool group_runs(pid_t group) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;
    // "PID (name) STATE PPID PGRP ...": the name may hold anything, so look behind its last parenthesis.
    const auto after = line.rfind(')');
    if (after == std::string::npos || after + 2 >= line.size()) continue;
    const char state = line[after + 2];
    const auto parent_begin = after + 4;
    const auto group_begin = line.find(' ', parent_begin) + 1;
    if (std::stol(line.substr(group_begin)) == group && state != 'Z' && state != 'X') return true;
  }
  return false;
}

}  // namespace sagebuild
