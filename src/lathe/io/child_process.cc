#include "lathe/io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;

// In the child, where only calls that are safe after a fork may be made.
[[noreturn]] void become(const char* command, int input, int output) {
  ::setpgid(0, 0);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  ::_exit(127);
}

struct Pipe {
  explicit Pipe(const std::string& command) {
    std::array<int, 2> ends{};
    require(::pipe2(ends.data(), O_CLOEXEC) == 0, ErrorKind::kIo, command,
            "no pipe for the program: {}", std::strerror(errno));
    to_read = Descriptor(ends[0]);
    to_write = Descriptor(ends[1]);
  }
  Descriptor to_read, to_write;
};

// write() to a pipe; one that nobody reads is an error (EPIPE) and not a signal, whatever the program has
// decided about signals.
ssize_t write_quietly(int pipe, const std::string& text) {
  sigset_t broken, before, pending;
  ::sigemptyset(&broken);
  ::sigaddset(&broken, SIGPIPE);
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, &broken, &before);
  const ssize_t written = ::write(pipe, text.data(), text.size());
  const int error = errno;
  if (written < 0 && error == EPIPE && ::sigismember(&pending, SIGPIPE) == 0) {
    const timespec at_once{};
    ::sigtimedwait(&broken, nullptr, &at_once);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

}  // namespace

// Pipes and no sockets: a program may open /dev/stdin.
ChildProcess::ChildProcess(const std::string& command) {
  Pipe in(command), out(command);
  pid_ = ::fork();
  require(pid_ >= 0, ErrorKind::kIo, command, "the program cannot be started: {}",
          std::strerror(errno));
  if (pid_ == 0) become(command.c_str(), in.to_read.get(), out.to_write.get());
  ::setpgid(pid_, pid_);  // both set it, so that it holds whoever runs first
  input_ = std::move(in.to_write);
  output_ = std::move(out.to_read);
  for (const Descriptor* end : {&input_, &output_}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Neither at the deadline.
ChildProcess::Ready ChildProcess::wait_until(bool writing, Deadline deadline) const {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    std::array<pollfd, 2> ends = {{{.fd = output_.get(), .events = POLLIN, .revents = 0},
                                   {.fd = input_.get(), .events = POLLOUT, .revents = 0}}};
    const int ready = ::poll(ends.data(), writing ? 2 : 1,
                             static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60'000)));
    if (ready > 0) return {.to_read = ends[0].revents != 0, .to_write = ends[1].revents != 0};
    if (left < 0 || (ready < 0 && errno != EINTR)) return {};
  }
}

// False if nobody reads any more.
bool ChildProcess::send_some(std::string& unsent) const {
  const ssize_t sent = write_quietly(input_.get(), unsent);
  if (sent < 0) return errno == EINTR || errno == EAGAIN;
  unsent.erase(0, static_cast<size_t>(sent));
  return true;
}

// Appends what there is to read; kEnded at its end.
std::optional<ChildProcess::Answer> ChildProcess::receive() {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(output_.get(), buffer.data(), buffer.size());
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
    const Ready ready = wait_until(!unsent.empty(), deadline);
    if (!ready.to_read && !ready.to_write) return Answer::kTimeout;
    if (ready.to_write && !send_some(unsent)) return Answer::kEnded;
    if (!ready.to_read) continue;
    if (const auto end = receive()) return *end;
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
