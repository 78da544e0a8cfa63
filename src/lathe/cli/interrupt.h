// Ctrl-C as a request: long loops ask between two steps and stop with what they have on disk.
#pragma once

namespace lathe {

// The first SIGINT or SIGTERM sets the flag, a second one ends the process at once.
void install_interrupt_handler();

bool interrupt_requested();

// Throws kInterrupted when a stop was requested.
void throw_if_interrupted();

// For tests and for programs that embed the commands.
void set_interrupt_requested(bool requested);

}  // namespace lathe
