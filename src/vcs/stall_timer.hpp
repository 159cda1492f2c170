#pragma once
// Ends a blocking system call of libgit2 when nothing arrives for too long: libgit2 before 1.7 has
// no timeouts of its own.

#include <sys/time.h>

#include <chrono>
#include <csignal>

namespace sagebuild {

// While it lives SIGALRM is its own (one at a time): its handler has no SA_RESTART, so a blocked
// recv() returns. After the limit it fires each second, and soon after INT, TERM, HUP or QUIT
// (whose handlers it calls first), so that a signal which came just before the call blocked is not
// the last one.
class StallTimer {
 public:
  explicit StallTimer(std::chrono::seconds limit);
  ~StallTimer();
  StallTimer(const StallTimer&) = delete;
  StallTimer& operator=(const StallTimer&) = delete;

  void rearm() const;     // something arrived
  static bool expired();  // since the last construction

 private:
  std::chrono::seconds limit_;
  struct sigaction previous_ {};
};

}  // namespace sagebuild
