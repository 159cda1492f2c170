#pragma once
// What steps do inside this process (keys, copies, hashes, checks), beside the scheduler's thread,
// which hears of each end as it does of a child's.

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "file_use.hpp"
#include "sagebuild/sys/worker_pool.hpp"

namespace sagebuild {

// All calls come from the scheduler's thread.
class InProcess {
 public:
  struct Ended {
    NodeId node;
    std::exception_ptr error;  // what the work threw; empty: nothing
  };

  // `on_end` is called from other threads, whenever a piece of work has ended.
  InProcess(unsigned threads, std::function<void()> on_end);

  // Until its end is taken, or dropped, the node has no other work.
  void start(NodeId node, std::function<void()> work);
  // How many have begun whose end was not taken.
  std::size_t running() const { return nodes_.size(); }
  // The first that has ended, if any has.
  std::optional<Ended> take_ended();
  // Waits until no work of those nodes runs, and forgets what became of it.
  void drop(const std::vector<NodeId>& nodes);

 private:
  std::function<void()> on_end_;
  std::set<NodeId> nodes_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Ended> ended_;
  WorkerPool pool_;  // the last: its threads end first
};

}  // namespace sagebuild
