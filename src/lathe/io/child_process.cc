#include "lathe/io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

// Pipes and no sockets: a program may open /dev/stdin.
ChildProcess::ChildProcess(const std::vector<std::string>& command)
    : input_(command.back()),
      output_(command.back()),
      process_(command,
               {{input_.to_read.get(), STDIN_FILENO}, {output_.to_write.get(), STDOUT_FILENO}}) {
  input_.to_read = Descriptor();
  output_.to_write = Descriptor();
  for (const Descriptor* end : {&input_.to_write, &output_.to_read})
    ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
}

ChildProcess::ChildProcess(const std::string& command)
    : ChildProcess(std::vector<std::string>{"/bin/sh", "-c", command}) {}

// Neither at the deadline.
ChildProcess::Ready ChildProcess::wait_until(bool writing, Deadline deadline) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    std::array<pollfd, 2> ends = {{{.fd = output_.to_read.get(), .events = POLLIN, .revents = 0},
                                   {.fd = input_.to_write.get(), .events = POLLOUT, .revents = 0}}};
    const int ready = ::poll(ends.data(), writing ? 2 : 1,
                             static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60'000)));
    if (ready > 0) return {.to_read = ends[0].revents != 0, .to_write = ends[1].revents != 0};
    if (left < 0 || (ready < 0 && errno != EINTR)) return {};
  }
}

ChildProcess::Answer ChildProcess::ask(std::string_view line, std::chrono::milliseconds timeout,
                                       std::string& answer) {
  const Deadline deadline = Clock::now() + timeout;
  if (!receive_some(output_.to_read, read_)) return Answer::kEnded;
  if (!read_.empty()) return Answer::kUnasked;
  std::string unsent = std::string(line) + "\n";
  for (;;) {
    if (const size_t end = read_.find('\n'); end != std::string::npos && unsent.empty()) {
      if (end > kLongest) return Answer::kTooLong;
      answer = read_.substr(0, end);
      read_.erase(0, end + 1);
      return Answer::kLine;
    }
    if (read_.size() > kLongest) return Answer::kTooLong;
    const Ready ready = wait_until(!unsent.empty(), deadline);
    if (!ready.to_read && !ready.to_write) return Answer::kTimeout;
    if (ready.to_write && !send_some(input_.to_write, unsent)) return Answer::kEnded;
    if (!ready.to_read) continue;
    if (!receive_some(output_.to_read, read_)) return Answer::kEnded;
  }
}

std::string what_failed(ChildProcess::Answer answer, double timeout) {
  switch (answer) {
    case ChildProcess::Answer::kTimeout:
      return fmt::format("gave no answer within {} s", timeout);
    case ChildProcess::Answer::kTooLong:
      return fmt::format("printed a line of more than {} bytes", ChildProcess::kLongest);
    case ChildProcess::Answer::kUnasked:
      return "printed more than one line for an answer";
    case ChildProcess::Answer::kEnded:
    case ChildProcess::Answer::kLine:
      break;
  }
  return "ended";
}

}  // namespace lathe
