#include "sagebuild/exec/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace sagebuild {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kProcess = 1;

long long microseconds(double seconds) { return std::llround(seconds * 1e6); }

Json name_event(const char* event, unsigned lane, const std::string& name) {
  return {
      {"ph", "M"}, {"name", event}, {"pid", kProcess}, {"tid", lane}, {"args", {{"name", name}}}};
}

Json bar(const StepRecord& step) {
  Json event = {{"ph", "X"},
                {"name", step.cached ? step.label + " (cached)" : step.label},
                {"cat", std::string(name_of(step.stage)) + (step.cached ? ",cached" : "")},
                {"pid", kProcess},
                {"tid", step.lane},
                {"ts", microseconds(step.started)},
                {"dur", std::max(1LL, microseconds(step.ended) - microseconds(step.started))}};
  // Only chrome://tracing knows colours by name; Perfetto takes them from the bars' names.
  if (step.cached) event["cname"] = "grey";
  event["args"] = {{"kind", name_of(step.stage)},
                   {"subject", step.subject},
                   {"cached", step.cached},
                   {"cpu_seconds", step.cpu_seconds},
                   {"peak_memory", step.peak_memory}};
  return event;
}

}  // namespace

std::string chrome_trace(const std::vector<StepRecord>& steps) {
  Json events = Json::array({name_event("process_name", 0, "sagebuild")});
  std::set<unsigned> lanes;
  for (const StepRecord& step : steps) lanes.insert(step.lane);
  for (const unsigned lane : lanes)
    events.push_back(name_event("thread_name", lane, fmt::format("core {}", lane + 1)));
  for (const StepRecord& step : steps) events.push_back(bar(step));
  const Json trace = {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
  return trace.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sagebuild
