#pragma once
// INT, TERM, HUP and QUIT: the handler only notes the number (without SA_RESTART, so blocking calls
// return); the program asks.

namespace sagebuild {

// Installs the handlers, ignores PIPE. Once, in main.
void install_signal_handlers();
// The number of the signal that arrived, or 0.
int interrupted();
// For a thread that is not the main one, first thing: signals are for the thread that waits for them
// (Processes::wait), and would not wake it if they came to another.
void leave_signals_to_main();
// Throws Interrupted if one has arrived. Long loops and progress callbacks call it.
void throw_if_interrupted();
// Restores the default action and raises `signal` on ourselves, so that the parent sees the true
// status. Does not return.
[[noreturn]] void end_by_signal(int signal);

}  // namespace sagebuild
