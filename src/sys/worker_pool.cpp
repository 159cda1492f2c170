#include "sagebuild/sys/worker_pool.hpp"

#include <algorithm>
#include <utility>

#include "sagebuild/sys/signals.hpp"

namespace sagebuild {

WorkerPool::WorkerPool(unsigned threads) : most_(std::max(1U, threads)) {}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::future<void> WorkerPool::submit(std::function<void()> work) {
  std::packaged_task<void()> task(std::move(work));
  std::future<void> result = task.get_future();
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(task));
  if (queue_.size() > idle_ && threads_.size() < most_) threads_.emplace_back([this] { serve(); });
  changed_.notify_one();
  return result;
}

void WorkerPool::serve() {
  leave_signals_to_main();
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [&] { return ends_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    std::packaged_task<void()> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task();
    task = {};  // what it holds goes here, not under the lock
    lock.lock();
  }
}

}  // namespace sagebuild
