#include "sagebuild/exec/timeline.hpp"

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE(
    "a trace has a named lane per place and a bar per step, in microseconds, cached ones marked") {
  StepRecord compiled;
  compiled.stage = Stage::cicc;
  compiled.subject = "demo a.cu compute_90";
  compiled.label = "cicc \"a\".cu \xff";  // bytes that are no UTF-8 must not end the report
  compiled.started = 0.25;
  compiled.ended = 2;
  compiled.lane = 1;
  compiled.cpu_seconds = 1.5;
  compiled.peak_memory = 1000;
  StepRecord hit = compiled;
  hit.label = "ptxas a.cu";
  hit.cached = true;
  hit.started = hit.ended = 2;
  hit.lane = 0;

  const auto trace = nlohmann::json::parse(chrome_trace({compiled, hit}));
  const auto& events = trace.at("traceEvents");
  REQUIRE(events.size() == 5);  // process, two lanes, two bars
  CHECK(events[1].at("ph") == "M");
  CHECK(events[1].at("args").at("name") == "core 1");
  CHECK(events[2].at("tid") == 1);
  const auto& bar = events[3];
  CHECK(bar.at("ph") == "X");
  CHECK(bar.at("ts") == 250'000);
  CHECK(bar.at("dur") == 1'750'000);
  CHECK(bar.at("tid") == 1);
  CHECK(bar.at("args").at("subject") == "demo a.cu compute_90");
  CHECK(bar.at("args").at("cpu_seconds") == 1.5);
  CHECK(bar.at("args").at("cached") == false);
  const auto& cached = events[4];
  CHECK(cached.at("name") == "ptxas a.cu (cached)");
  CHECK(cached.at("cat") == "cicc,cached");
  CHECK(cached.at("dur") == 1);
}

TEST_CASE("a trace of nothing is still a trace") {
  CHECK(nlohmann::json::parse(chrome_trace({})).at("traceEvents").size() == 1);
}

}  // namespace sagebuild
