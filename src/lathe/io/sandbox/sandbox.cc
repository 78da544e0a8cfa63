#include "lathe/io/sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <memory>

#include "lathe/base/error.h"
#include "lathe/io/started_process.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;
using End = SandboxResult::End;

constexpr int kStatus = 3;  // where bwrap says that the program has run

// Limits that hold inside only: processes are counted in the sandbox's own user namespace (Linux 5.14), so that what
// else the user runs does not count. The shells of Debian (-p) and of others (-u) name that limit differently. If
// memory runs out, a sandbox is what the system ends first.
constexpr const char* kLimited =
    "echo 1000 2>/dev/null >/proc/self/oom_score_adj || :\n"
    "set -e; ulimit -c 0; ulimit -n 128; ulimit -f \"$1\"; ulimit -v \"$2\"; ulimit -S -t \"$3\"; "
    "ulimit -H -t \"$4\"\n"
    "ulimit -u \"$5\" 2>/dev/null || ulimit -p \"$5\"\n"
    "shift 5; exec \"$@\"";

// One program in its sandbox. Not thread-safe.
class Running {
 public:
  Running(const std::vector<std::string>& command, const SandboxJob& job,
          const SandboxLimits& limits, SandboxResult& result)
      : limits_(limits),
        result_(result),
        input_(command.front()),
        output_(command.front()),
        errors_(command.front()),
        status_(command.front()),
        process_(command, {{input_.to_read.get(), STDIN_FILENO},
                           {output_.to_write.get(), STDOUT_FILENO},
                           {errors_.to_write.get(), STDERR_FILENO},
                           {status_.to_write.get(), kStatus}}),
        unsent_(job.input),
        deadline_(Clock::now() + std::chrono::microseconds(std::llround(limits.seconds * 1e6))) {
    require(process_.ended().is_open(), ErrorKind::kIo, command.front(),
            "the system cannot tell when the program ends; it needs Linux 5.3 or newer");
    input_.to_read = Descriptor();
    for (Pipe* pipe : {&output_, &errors_, &status_}) pipe->to_write = Descriptor();
    for (const int end : {input_.to_write.get(), output_.to_read.get(), errors_.to_read.get(),
                          status_.to_read.get()})
      ::fcntl(end, F_SETFL, O_NONBLOCK);
    if (unsent_.empty()) input_.to_write = Descriptor();
  }

  // What step() waits for.
  void watch(std::vector<pollfd>& ends) const {
    ends.push_back({.fd = process_.ended().get(), .events = POLLIN, .revents = 0});
    ends.push_back({.fd = input_.to_write.get(), .events = POLLOUT, .revents = 0});
    for (const Pipe* pipe : {&output_, &errors_})
      ends.push_back({.fd = pipe->to_read.get(), .events = POLLIN, .revents = 0});
  }
  Clock::time_point deadline() const { return deadline_; }

  // False once it has ended, with its result.
  bool step() {
    // Whether it has ended is asked before its output is read, so that the last of it is.
    const bool has_ended = is_readable(process_.ended());
    if (input_.to_write.is_open() && (!send_some(input_.to_write, unsent_) || unsent_.empty()))
      input_.to_write = Descriptor();
    read_all(output_, result_.output);
    read_all(errors_, result_.errors);
    const bool flood = std::max(result_.output.size(), result_.errors.size()) >
                       static_cast<size_t>(limits_.output);
    if (!has_ended && !flood && Clock::now() < deadline_) return true;
    const int status = (process_.kill(), process_.wait());
    finish(has_ended, flood, status);
    return false;
  }

 private:
  static bool is_readable(const Descriptor& end) {
    pollfd one = {.fd = end.get(), .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 0) > 0;
  }

  // Up to the limit and a little more.
  void read_all(Pipe& pipe, std::string& text) const {
    while (pipe.to_read.is_open() && text.size() <= static_cast<size_t>(limits_.output) &&
           is_readable(pipe.to_read))
      if (!receive_some(pipe.to_read, text)) pipe.to_read = Descriptor();
  }

  void finish(bool has_ended, bool flood, int status) {
    std::string said;
    read_all(status_, said);
    for (std::string* text : {&result_.output, &result_.errors})
      text->resize(std::min(text->size(), static_cast<size_t>(limits_.output)));
    result_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (flood)
      result_.end = End::kTooMuchOutput;
    else if (!has_ended || result_.status == 128 + SIGXCPU)
      result_.end = End::kTimeout;
    else  // bwrap tells the end of a program that it has run
      result_.end = said.find("\"exit-code\"") == std::string::npos ? End::kRefused : End::kExit;
  }

  const SandboxLimits& limits_;
  SandboxResult& result_;
  Pipe input_, output_, errors_, status_;
  StartedProcess process_;
  std::string unsent_;
  const Clock::time_point deadline_;
};

// Until something happens to one of them, at most 100 ms.
void wait_for_some(const std::vector<std::unique_ptr<Running>>& running) {
  std::vector<pollfd> ends;
  auto until = Clock::now() + std::chrono::milliseconds(100);
  for (const auto& each : running) {
    each->watch(ends);
    until = std::min(until, each->deadline());
  }
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  ::poll(ends.data(), ends.size(), static_cast<int>(std::max<int64_t>(left + 1, 0)));
}

// The program itself; for root, who would keep its rights, as a user without any.
std::vector<std::string> confining_program(const std::string& where,
                                           const std::string& search_path) {
  const auto found = find_programs("bwrap", search_path);
  require(
      !found.empty(), ErrorKind::kConfig, where,
      "programs that a model wrote run in a sandbox only, which the program bwrap makes, and it is not in PATH; "
      "install it (Debian: apt-get install bubblewrap)");
  std::vector<std::string> command = {found.front().string()};
  if (::geteuid() != 0) return command;
  const auto setpriv = find_programs("setpriv", search_path);
  require(
      !setpriv.empty(), ErrorKind::kConfig, where,
      "programs that a model wrote do not run as root, and the program setpriv, which gives up its rights, is "
      "not in PATH; install it (Debian: apt-get install util-linux), or run as another user");
  command.insert(command.begin(), {setpriv.front().string(), "--reuid=65534", "--regid=65534",
                                   "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"});
  return command;
}

}  // namespace

Sandbox::Sandbox(const SandboxLimits& limits, const std::string& where,
                 const std::string& search_path)
    : limits_(limits), confined_(confining_program(where, search_path)) {
  const auto add = [&](std::initializer_list<const char*> words) {
    confined_.insert(confined_.end(), words.begin(), words.end());
  };
  add({"--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc"});
  add({"--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox", "--cap-drop", "ALL"});
  add({"--die-with-parent", "--new-session", "--json-status-fd", "3", "--clearenv"});
  const std::string size = std::to_string(limits_.files);
  add({"--proc", "/proc", "--dev", "/dev", "--size", size.c_str(), "--tmpfs", "/dev/shm"});
  add({"--size", size.c_str(), "--tmpfs", "/tmp", "--chdir", "/tmp"});
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
                           "/etc/ld.so.cache", "/etc/alternatives"})
    add({"--ro-bind-try", path, path});
  for (const auto& [name, value] :
       {std::pair{"PATH", "/usr/bin:/bin"}, {"HOME", "/tmp"}, {"LANG", "C.UTF-8"}})
    add({"--setenv", name, value});

  const SandboxResult tried = run({.command = {"/bin/sh", "-c", "(exit 7); exit $?"}});
  require(
      tried.end == End::kExit && tried.status == 7, ErrorKind::kConfig, where,
      "programs that a model wrote run in a sandbox only, and this system does not let bwrap make one ({}); allow user "
      "namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone = 1, "
      "kernel.apparmor_restrict_unprivileged_userns = 0; in a container also its seccomp profile), with "
      "bubblewrap 0.8 and Linux 5.14 or newer",
      tried.end == End::kTimeout
          ? "it took too long"
          : tried.errors.substr(0, tried.errors.find_last_not_of('\n') + 1).substr(0, 300));
}

Sandbox Sandbox::with_readable(std::vector<std::filesystem::path> paths) const {
  Sandbox other = *this;
  other.readable_ = std::move(paths);
  return other;
}

std::vector<std::string> Sandbox::command_of(const SandboxJob& job) const {
  std::vector<std::string> command = confined_;
  const auto add = [&](std::initializer_list<std::string> words) {
    command.insert(command.end(), words.begin(), words.end());
  };
  for (const std::filesystem::path& path : readable_) add({"--ro-bind-try", path, path});
  add({"--remount-ro", "/dev", "--remount-ro", "/"});
  for (const auto& [name, value] : job.environment) add({"--setenv", name, value});
  const auto seconds = static_cast<int64_t>(std::ceil(limits_.seconds));
  add({"--", "/bin/sh", "-c", kLimited, "sh"});
  for (const int64_t limit :
       {limits_.files / 512, limits_.memory / 1024, seconds, seconds + 1, limits_.processes})
    add({std::to_string(limit)});
  command.insert(command.end(), job.command.begin(), job.command.end());
  return command;
}

std::vector<SandboxResult> Sandbox::run(std::span<const SandboxJob> jobs, int64_t at_once,
                                        const std::function<void()>& while_waiting) const {
  std::vector<SandboxResult> results(jobs.size());
  std::vector<std::unique_ptr<Running>> running;
  for (size_t next = 0; next < jobs.size() || !running.empty();) {
    for (; next < jobs.size() && std::ssize(running) < std::max<int64_t>(at_once, 1); ++next)
      running.push_back(
          std::make_unique<Running>(command_of(jobs[next]), jobs[next], limits_, results[next]));
    wait_for_some(running);
    if (while_waiting) while_waiting();
    std::erase_if(running, [](const auto& each) { return !each->step(); });
  }
  return results;
}

SandboxResult Sandbox::run(const SandboxJob& job) const {
  return std::move(run({&job, 1}, 1).front());
}

}  // namespace lathe
