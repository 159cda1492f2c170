#include "in_process.hpp"

#include <algorithm>
#include <utility>

namespace sagebuild {

InProcess::InProcess(unsigned threads, std::function<void()> on_end)
    : on_end_(std::move(on_end)), pool_(threads) {}

void InProcess::start(NodeId node, std::function<void()> work) {
  nodes_.insert(node);
  pool_.submit([this, node, work = std::move(work)] {
    std::exception_ptr error;
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back({node, std::move(error)});
    }
    changed_.notify_all();
    on_end_();
  });
}

std::optional<InProcess::Ended> InProcess::take_ended() {
  const std::lock_guard lock(mutex_);
  if (ended_.empty()) return std::nullopt;
  Ended first = std::move(ended_.front());
  ended_.erase(ended_.begin());
  nodes_.erase(first.node);
  return first;
}

void InProcess::drop(const std::vector<NodeId>& nodes) {
  std::unique_lock lock(mutex_);
  for (const NodeId node : nodes) {
    if (nodes_.erase(node) == 0) continue;
    const auto is_its = [&](const Ended& one) { return one.node == node; };
    changed_.wait(lock, [&] { return std::ranges::any_of(ended_, is_its); });
    std::erase_if(ended_, is_its);
  }
}

}  // namespace sagebuild
