#include "lathe/cli/interrupt.h"

#include <signal.h>

#include <atomic>

#include "lathe/base/error.h"

namespace lathe {
namespace {

// The one mutable global: a signal handler has no other way to hand a value on.
std::atomic<bool> g_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) { g_requested.store(true, std::memory_order_relaxed); }

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  // RESETHAND: the second signal finds the default action. RESTART: no system call is cut short.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_requested() { return g_requested.load(std::memory_order_relaxed); }

void set_interrupt_requested(bool requested) { g_requested.store(requested); }

void throw_if_interrupted() {
  require(!interrupt_requested(), ErrorKind::kInterrupted, "interrupt", "stopped on request");
}

}  // namespace lathe
