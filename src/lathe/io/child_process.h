// A program that answers lines: it gets one on its standard input and prints one on its standard output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "lathe/io/descriptor.h"

namespace lathe {

// Runs in a process group of its own, which ends with the object. Its standard error is ours. Not
// thread-safe.
class ChildProcess {
 public:
  // Starts `/bin/sh -c command`. Throws kIo.
  explicit ChildProcess(const std::string& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  enum class Answer : uint8_t { kLine, kEnded, kTimeout };
  // Sends `line` and waits for a line, which is put into `answer` without its end. After anything but
  // kLine the process is of no further use. Lines longer than a MiB count as kEnded.
  Answer ask(std::string_view line, std::chrono::milliseconds timeout, std::string& answer);

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  bool wait_until(short events, Deadline deadline) const;
  Answer send(std::string_view text, Deadline deadline) const;

  pid_t pid_ = -1;
  Descriptor socket_;
  std::string read_;  // behind the last line
};

}  // namespace lathe
