// Ctrl-C as a request: long loops check for it between two steps and stop with what they have on
// disk. A StopWatch ends a command that does not check.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

namespace lathe {

// The first SIGINT, SIGTERM or SIGHUP sets the flag and says on stderr what happens next; a second
// one ends the process at once. A SIGHUP that is ignored (nohup) stays ignored.
void install_interrupt_handler();

bool interrupt_requested();

// Throws kInterrupted if a stop was requested.
void throw_if_interrupted();

// For tests and for programs that embed the commands.
void set_interrupt_requested(bool requested);

// While this object exists, the handler says that the command saves its work when it is stopped.
class SavesWhenStopped {
 public:
  SavesWhenStopped();
  ~SavesWhenStopped();
  SavesWhenStopped(const SavesWhenStopped&) = delete;
  SavesWhenStopped& operator=(const SavesWhenStopped&) = delete;
};

// The same for a command whose answer is stopped and which then goes on.
class EndsTheAnswer {
 public:
  EndsTheAnswer();
  ~EndsTheAnswer();
  EndsTheAnswer(const EndsTheAnswer&) = delete;
  EndsTheAnswer& operator=(const EndsTheAnswer&) = delete;
};

// For a command that has nothing to save: if it has not ended within half a second after the
// signal, for example in a forward pass, a write or a read from a pipe, the watch ends the process
// with 130 and removes the temporaries that the process left next to and inside `outputs`. There
// may be only one at a time, in a process with install_interrupt_handler().
class StopWatch {
 public:
  explicit StopWatch(std::vector<std::filesystem::path> outputs);
  ~StopWatch();
  StopWatch(const StopWatch&) = delete;
  StopWatch& operator=(const StopWatch&) = delete;

 private:
  void watch();

  std::vector<std::filesystem::path> outputs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;  // guarded by mutex_
  std::thread thread_;
};

// While one exists, the watch waits, because files that belong together are being renamed.
class StopShield {
 public:
  StopShield();
  ~StopShield();
  StopShield(const StopShield&) = delete;
  StopShield& operator=(const StopShield&) = delete;
};

}  // namespace lathe
