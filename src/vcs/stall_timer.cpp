#include "stall_timer.hpp"

#include <iterator>

namespace sagebuild {
namespace {

volatile std::sig_atomic_t stalled = 0;

void note_stall(int) { stalled = 1; }

constexpr int kEndings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
using Handler = void (*)(int);
Handler noted_by[std::size(kEndings)] = {};

// The handler that was there, and an alarm soon and again: a signal that comes just before recv()
// blocks would else be seen only at the limit. (setitimer is a plain system call.)
void pass_on(int number) {
  for (std::size_t i = 0; i < std::size(kEndings); ++i) {
    if (kEndings[i] == number && noted_by[i] != nullptr) noted_by[i](number);
  }
  const itimerval soon{.it_interval = {0, 100'000}, .it_value = {0, 100'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
}

bool is_function(Handler handler) { return handler != SIG_DFL && handler != SIG_IGN; }

}  // namespace

StallTimer::StallTimer(std::chrono::seconds limit) : limit_(limit) {
  stalled = 0;
  struct sigaction action {};
  action.sa_handler = note_stall;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, &previous_);
  action.sa_handler = pass_on;
  for (std::size_t i = 0; i < std::size(kEndings); ++i) {
    struct sigaction before {};
    sigaction(kEndings[i], nullptr, &before);
    noted_by[i] = is_function(before.sa_handler) ? before.sa_handler : nullptr;
    if (noted_by[i] != nullptr) sigaction(kEndings[i], &action, nullptr);
  }
  rearm();
}

StallTimer::~StallTimer() {
  const itimerval off{};
  setitimer(ITIMER_REAL, &off, nullptr);
  sigaction(SIGALRM, &previous_, nullptr);
  struct sigaction before {};
  sigemptyset(&before.sa_mask);
  for (std::size_t i = 0; i < std::size(kEndings); ++i) {
    before.sa_handler = noted_by[i];
    if (noted_by[i] != nullptr) sigaction(kEndings[i], &before, nullptr);
  }
}

void StallTimer::rearm() const {
  const itimerval timer{.it_interval = {1, 0}, .it_value = {limit_.count(), 0}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

bool StallTimer::expired() { return stalled != 0; }

}  // namespace sagebuild
