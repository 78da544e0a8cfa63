// A program that answers lines: it gets one on its standard input and prints one on its standard output.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/started_process.h"

namespace lathe {

// It ends with the object. Its standard error is ours. Not thread-safe.
class ChildProcess {
 public:
  // Starts `/bin/sh -c command`. Throws kIo.
  explicit ChildProcess(const std::string& command);
  // Starts the program at a path with arguments. Throws kIo.
  explicit ChildProcess(const std::vector<std::string>& command);

  // kUnasked: it had printed something before it was asked, so that answers and questions no longer
  // correspond. Of what it prints only after the question nobody can know.
  enum class Answer : uint8_t { kLine, kEnded, kTimeout, kTooLong, kUnasked };
  static constexpr size_t kLongest = size_t{1} << 20;
  // Sends `line` and waits for a line, which is put into `answer` without its end. After anything but
  // kLine the process is of no further use. kTooLong: a line of more than kLongest bytes. The program may
  // begin to answer before it has read everything.
  Answer ask(std::string_view line, std::chrono::milliseconds timeout, std::string& answer);

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Ready {
    bool to_read = false, to_write = false;
  };
  Ready wait_until(bool writing, Deadline deadline) const;

  Pipe input_, output_;  // of the program: our ends
  StartedProcess process_;
  std::string read_;  // behind the last line
};

// What a program did in place of answering within `timeout` seconds: "gave no answer within 10 s".
std::string what_failed(ChildProcess::Answer answer, double timeout);

}  // namespace lathe
