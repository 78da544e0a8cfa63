#include "lathe/io/started_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "lathe/base/env.h"
#include "lathe/base/error.h"

namespace lathe {
namespace {

// posix_spawn() shares the memory of this process until the program runs: a copy of its page tables, as fork() makes
// one, would take long where a model fills the memory.
class SpawnSetting {
 public:
  SpawnSetting() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    ::sigemptyset(&none);
    ::sigemptyset(&usual);
    ::sigaddset(&usual, SIGINT);
    ::sigaddset(&usual, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &usual);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSetting() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSetting(const SpawnSetting&) = delete;
  SpawnSetting& operator=(const SpawnSetting&) = delete;

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

// write() to a pipe; one that nobody reads is an error (EPIPE) and not a signal.
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

Pipe::Pipe(const std::string& program) {
  std::array<int, 2> ends{};
  require(::pipe2(ends.data(), O_CLOEXEC) == 0, ErrorKind::kIo, program,
          "no pipe for the program: {}", std::strerror(errno));
  to_read = Descriptor(ends[0]);
  to_write = Descriptor(ends[1]);
}

bool send_some(const Descriptor& pipe, std::string& unsent) {
  const ssize_t sent = write_quietly(pipe.get(), unsent);
  if (sent < 0) return errno == EINTR || errno == EAGAIN;
  unsent.erase(0, static_cast<size_t>(sent));
  return true;
}

bool receive_some(const Descriptor& pipe, std::string& text) {
  std::array<char, 4096> buffer{};
  const ssize_t count = ::read(pipe.get(), buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  text.append(buffer.data(), static_cast<size_t>(count));
  return count > 0;
}

StartedProcess::StartedProcess(const std::vector<std::string>& command,
                               const std::vector<std::pair<int, int>>& given) {
  SpawnSetting setting;
  int last = STDERR_FILENO;
  for (const auto& [ours, theirs] : given) {
    ::posix_spawn_file_actions_adddup2(&setting.actions, ours, theirs);
    last = std::max(last, theirs);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&setting.actions, last + 1);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, words[0], &setting.actions, &setting.attributes,
                                  words.data(), whole_environment());
  require(error == 0, ErrorKind::kIo, command.front(), "the program cannot be started: {}",
          std::strerror(error));
  ended_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
}

void StartedProcess::kill() const { ::kill(-pid_, SIGKILL); }

// The rest of the group is killed while its number is still taken.
int StartedProcess::wait() {
  if (status_) return *status_;
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  kill();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
  return status;
}

StartedProcess::~StartedProcess() {
  if (!status_) kill();
  wait();
}

std::vector<std::filesystem::path> find_programs(const std::string& name,
                                                 const std::string& search_path) {
  std::vector<std::filesystem::path> found;
  const auto add = [&](const std::filesystem::path& path) {
    if (std::filesystem::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0)
      found.push_back(path);
  };
  if (name.find('/') != std::string::npos) {
    add(std::filesystem::absolute(name));
    return found;
  }
  for (size_t begin = 0; begin <= search_path.size();) {
    const size_t end = std::min(search_path.find(':', begin), search_path.size());
    if (end > begin) add(std::filesystem::path(search_path.substr(begin, end - begin)) / name);
    begin = end + 1;
  }
  return found;
}

}  // namespace lathe
