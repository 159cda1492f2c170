#pragma once
// Threads for work inside this process: hashing, copying, compressing. Processes are not started
// from them, since one thread starts and waits for all, and signals do not come to them.

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace sagebuild {

class WorkerPool {
 public:
  // At most `threads` pieces of work run at once; threads are started when there is work for them.
  explicit WorkerPool(unsigned threads);
  ~WorkerPool();  // drops what has not begun, and waits for what runs
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Work begins in the order of these calls. What it throws is in the future.
  std::future<void> submit(std::function<void()> work);

 private:
  void serve();

  unsigned most_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> queue_;
  std::vector<std::thread> threads_;
  unsigned idle_ = 0;
  bool ends_ = false;
};

}  // namespace sagebuild
