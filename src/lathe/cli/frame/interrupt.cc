#include "lathe/cli/frame/interrupt.h"

#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace {

constexpr auto kGrace = std::chrono::milliseconds(500);
constexpr const char* kEnds =
    "\n"
    "stopping; no half-written file is left (Ctrl-C again quits at once, without cleaning up)\n";
constexpr const char* kSaves =
    "\n"
    "stopping and saving what was done (Ctrl-C again quits at once, without saving)\n";

constexpr const char* kStopsAnswer = "\nending the thought or the answer (Ctrl-C again quits)\n";

// The mutable globals: a signal handler has no other way to hand a value on.
std::atomic<bool> g_requested{false};
std::atomic<const char*> g_notice{kEnds};
std::atomic<int> g_shields{0};
sem_t g_signal;  // posted by the handler, and by a watch that is over
static_assert(std::atomic<bool>::is_always_lock_free);
static_assert(std::atomic<const char*>::is_always_lock_free);

// Only what POSIX allows in a handler.
void on_signal(int signal) {
  const int saved = errno;
  if (g_requested.exchange(true)) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);  // delivered when the handler returns
  } else {
    const char* notice = g_notice.load(std::memory_order_relaxed);
    // A terminal that is gone (SIGHUP) cannot be told anything.
    if (::write(STDERR_FILENO, notice, std::strlen(notice)) < 0) errno = 0;
    ::sem_post(&g_signal);
  }
  errno = saved;
}

}  // namespace

void install_interrupt_handler() {
  ::sem_init(&g_signal, /*pshared=*/0, /*value=*/0);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // no system call is cut short
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
}

bool interrupt_requested() { return g_requested.load(std::memory_order_relaxed); }

void set_interrupt_requested(bool requested) { g_requested.store(requested); }

void throw_if_interrupted() {
  require(!interrupt_requested(), ErrorKind::kInterrupted, "interrupt", "stopped on request");
}

SavesWhenStopped::SavesWhenStopped() { g_notice.store(kSaves); }
SavesWhenStopped::~SavesWhenStopped() { g_notice.store(kEnds); }

EndsTheAnswer::EndsTheAnswer() { g_notice.store(kStopsAnswer); }
EndsTheAnswer::~EndsTheAnswer() { g_notice.store(kEnds); }

StopShield::StopShield() { ++g_shields; }
StopShield::~StopShield() { --g_shields; }

StopWatch::StopWatch(std::vector<std::filesystem::path> outputs)
    : outputs_(std::move(outputs)), thread_([this] { watch(); }) {}

StopWatch::~StopWatch() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  ::sem_post(&g_signal);
  thread_.join();
}

void StopWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!over_ && !interrupt_requested()) {
    lock.unlock();
    ::sem_wait(&g_signal);  // may also end early
    lock.lock();
  }
  if (changed_.wait_for(lock, kGrace, [this] { return over_; })) return;
  while (g_shields.load() > 0)
    if (changed_.wait_for(lock, std::chrono::milliseconds(10), [this] { return over_; })) return;
  for (auto output : outputs_) {
    if (!output.has_filename()) output = output.parent_path();  // "name/"
    const auto folder = output.parent_path();
    remove_own_temporaries(folder.empty() ? "." : folder);
    remove_own_temporaries(output);
  }
  ::_exit(exit_code(ErrorKind::kInterrupted));
}

}  // namespace lathe
