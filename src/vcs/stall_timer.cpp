#include "stall_timer.hpp"

namespace sagebuild {
namespace {

volatile std::sig_atomic_t stalled = 0;

void note_stall(int) { stalled = 1; }

}  // namespace

StallTimer::StallTimer(std::chrono::seconds limit) : limit_(limit) {
  stalled = 0;
  struct sigaction action {};
  action.sa_handler = note_stall;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, &previous_);
  rearm();
}

StallTimer::~StallTimer() {
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigaction(SIGALRM, &previous_, nullptr);
}

void StallTimer::rearm() const {
  const itimerval timer{.it_interval = {1, 0}, .it_value = {limit_.count(), 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

bool StallTimer::expired() { return stalled != 0; }

}  // namespace sagebuild
