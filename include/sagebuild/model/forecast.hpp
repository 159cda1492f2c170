#pragma once
// What a build would cost, said before anything is compiled.

#include <cstdint>
#include <string>
#include <vector>

namespace sagebuild {

struct SourceForecast {
  bool cached = false;  // its object is in the cache
  // "facade device, full host headers": what fitted last time, else what is tried first
  std::string mode;
  std::string reason;  // why not an earlier mode; empty: the first one
  // 0 if cached; else as its steps took last time, or as the recipe says. Some may yet hit
  double cpu_seconds = 0;
  std::size_t parts = 1;  // that it is compiled in
};

struct BuildForecast {
  std::vector<SourceForecast> sources;  // in the plan's order: modules, and sources in them
  double cpu_seconds = 0;
  // The work shared by all cores, and at least the longest chain of steps
  double wall_seconds = 0;
  std::uint64_t peak_memory = 0;  // bytes: as many of the largest steps as cores
  // What the wheel will be called, as far as it is known before anything is linked
  std::string wheel = {};
};

}  // namespace sagebuild
