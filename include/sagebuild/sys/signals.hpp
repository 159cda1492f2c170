#pragma once
// INT, TERM, HUP and QUIT: the handler only notes the number (without SA_RESTART, so blocking calls
// return); the program asks.

namespace sagebuild {

// Installs the handlers, ignores PIPE. Once, in main.
void install_signal_handlers();
// The number of the signal that arrived, or 0.
int interrupted();
// Throws Interrupted if one has arrived. Long loops and progress callbacks call it.
void throw_if_interrupted();
// Restores the default action and raises `signal` on ourselves, so that the parent sees the true
// status. Does not return.
[[noreturn]] void end_by_signal(int signal);

}  // namespace sagebuild
