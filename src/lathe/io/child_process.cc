#include "lathe/io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;

// In the child, where only calls that are safe after a fork may be made.
[[noreturn]] void become(const char* command, int socket) {
  ::setpgid(0, 0);
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

// One socket stands for both directions: a write to a program that has ended is then an error and not
// a signal.
ChildProcess::ChildProcess(const std::string& command) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0, ErrorKind::kIo,
          command, "no socket for the program: {}", std::strerror(errno));
  socket_ = Descriptor(ends[0]);
  const Descriptor theirs(ends[1]);
  pid_ = ::fork();
  require(pid_ >= 0, ErrorKind::kIo, command, "the program cannot be started: {}",
          std::strerror(errno));
  if (pid_ == 0) become(command.c_str(), theirs.get());
  ::setpgid(pid_, pid_);  // both set it, so that it holds whoever runs first
}

ChildProcess::~ChildProcess() {
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Which of the events are there; 0 at the deadline.
short ChildProcess::wait_until(short events, Deadline deadline) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poll{.fd = socket_.get(), .events = events, .revents = 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60'000)));
    if (ready > 0) return poll.revents;
    if (left < 0 || (ready < 0 && errno != EINTR)) return 0;
  }
}

// False if nobody reads any more.
bool ChildProcess::send_some(std::string& unsent) const {
  const ssize_t sent =
      ::send(socket_.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return errno == EINTR || errno == EAGAIN;
  unsent.erase(0, static_cast<size_t>(sent));
  return true;
}

// Appends what there is to read; kEnded at its end.
std::optional<ChildProcess::Answer> ChildProcess::receive() {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
  if (count <= 0) return Answer::kEnded;
  read_.append(buffer.data(), static_cast<size_t>(count));
  return std::nullopt;
}

ChildProcess::Answer ChildProcess::ask(std::string_view line, std::chrono::milliseconds timeout,
                                       std::string& answer) {
  const Deadline deadline = Clock::now() + timeout;
  if (const auto end = receive()) return *end;
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
    const short wanted = static_cast<short>(unsent.empty() ? POLLIN : POLLIN | POLLOUT);
    const short ready = wait_until(wanted, deadline);
    if (ready == 0) return Answer::kTimeout;
    if ((ready & POLLOUT) != 0 && !send_some(unsent)) return Answer::kEnded;
    if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    if (const auto end = receive()) return *end;
  }
}

}  // namespace lathe
