#include "sagebuild/sys/worker_pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <latch>

#include "sagebuild/base/error.hpp"
#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE(
    "as many pieces of work run at once as the pool has threads, and what they throw is kept") {
  WorkerPool pool(3);
  std::latch all_there(3);
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(pool.submit([&] { all_there.arrive_and_wait(); }));
  for (auto& future : futures) future.get();
  auto failing = pool.submit([] { throw Error(ErrorKind::failed, "no"); });
  CHECK_THROWS_MATCHES(failing.get(), Error, says("no"));
}

TEST_CASE("no more run at once than that, in the order of submission") {
  WorkerPool pool(1);
  std::vector<int> order;  // written by one thread at a time, or the pool is wrong
  std::vector<std::future<void>> futures;
  for (int i = 0; i < 20; ++i) futures.push_back(pool.submit([&, i] { order.push_back(i); }));
  for (auto& future : futures) future.get();
  CHECK(std::ranges::is_sorted(order));
  CHECK(order.size() == 20);
}

TEST_CASE("a pool that ends waits for what runs") {
  std::latch has_begun(1);
  std::atomic<bool> done = false;
  {
    WorkerPool pool(1);
    pool.submit([&] {
      has_begun.count_down();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      done = true;
    });
    has_begun.wait();
  }
  CHECK(done);
}

TEST_CASE("signals do not come to a pool's threads") {
  WorkerPool pool(1);
  sigset_t blocked;
  sigemptyset(&blocked);
  pool.submit([&] { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); }).get();
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) CHECK(sigismember(&blocked, number) == 1);
}

}  // namespace sagebuild
