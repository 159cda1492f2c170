#include "sagebuild/sys/signals.hpp"

#include <csignal>
#include <initializer_list>

#include "sagebuild/base/error.hpp"

namespace sagebuild {
namespace {

volatile std::sig_atomic_t arrived = 0;

void note(int number) { arrived = number; }

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) handle(number, note);
  handle(SIGPIPE, SIG_IGN);
}

void leave_signals_to_main() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

int interrupted() { return arrived; }

void throw_if_interrupted() {
  if (arrived != 0) throw Interrupted(arrived);
}

void end_by_signal(int signal) {
  handle(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::raise(signal);
  _Exit(128 + signal);  // the default action of these signals does not return
}

}  // namespace sagebuild
