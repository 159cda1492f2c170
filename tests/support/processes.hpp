#pragma once
// Looks at /proc, because kill(-group, 0) also finds zombies, which a container's init may never
// reap.

#include <sys/types.h>
#include <unistd.h>

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
    // "PID (name) STATE PPID PGRP ...": the name may hold anything, so look behind its last
    // parenthesis.
    const auto after = line.rfind(')');
    if (after == std::string::npos || after + 2 >= line.size()) continue;
    const char state = line[after + 2];
    const auto parent_begin = after + 4;
    const auto group_begin = line.find(' ', parent_begin) + 1;
    if (std::stol(line.substr(group_begin)) == group && state != 'Z' && state != 'X') return true;
  }
  return false;
}

// Waits for the end of a group that was sent KILL: a grandchild is nobody's to wait for, and dies
// when the kernel gets to it.
inline bool group_ends(pid_t group) {
  for (int i = 0; i < 500 && group_runs(group); ++i) usleep(10'000);
  return !group_runs(group);
}

}  // namespace sagebuild
