#include "exec/nodes.hpp"

#include "support/catch.hpp"

namespace sagebuild {
namespace {

Step step(double seconds, std::vector<StepId> after = {}) {
  Step result{.stage = Stage::plain_nvcc, .subject = "s", .label = "s", .after = std::move(after)};
  result.expected_seconds = seconds;
  return result;
}

NodeId start(Nodes& nodes) {
  return nodes
      .take_ready([](NodeId) { return Nodes::Need::process; }, [] { return true; },
                  [] { return true; }, [](NodeId) { return true; })
      .value();
}

}  // namespace

TEST_CASE(
    "the time that is left is what the steps will take on these cores, one after another where "
    "they wait") {
  Nodes nodes;
  SECTION("a chain, and short steps beside it") {
    nodes.add({step(4), step(16, {0}), step(12, {1}), step(3), step(3), step(3)}, kNoNode, nullptr);
    CHECK(nodes.seconds_left({}, 2) == 32);
    CHECK(nodes.seconds_left({}, 1) == 41);
    const NodeId first = start(nodes);
    CHECK(nodes.seconds_left({{first, 1}}, 2) == 31);
    // Longer than expected: it may end any moment
    CHECK(nodes.seconds_left({{first, 9}}, 2) == 28);
  }
  SECTION("a long step that the rest waits for") {
    nodes.add({step(15), step(8, {0}), step(8, {0}), step(8, {0}), step(5, {1, 2, 3})}, kNoNode,
              nullptr);
    CHECK(nodes.seconds_left({}, 2) == 36);
    CHECK(nodes.seconds_left({{start(nodes), 5}}, 2) == 31);
  }
  SECTION("what waits for a step waits for its sub-steps") {
    nodes.add({step(40), step(1, {0})}, kNoNode, nullptr);
    const NodeId compile = start(nodes);
    nodes.add({step(5), step(2, {0}), step(3, {0})}, compile, nullptr);
    CHECK(nodes.seconds_left({}, 2) == 9);
    nodes.done(start(nodes));
    CHECK(nodes.seconds_left({}, 2) == 4);
  }
  CHECK(Nodes().seconds_left({}, 2) == 0);
}

}  // namespace sagebuild
