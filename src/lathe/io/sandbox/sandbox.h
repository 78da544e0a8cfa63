// Programs that nobody has read, such as those that a model wrote, run where they can do no harm.
//
// bubblewrap (the program `bwrap`) gives each a root of its own: the system's folders of programs and libraries and
// what its caller names, only to be read; an empty /tmp of its own; no network; no other process. Each has limits, and
// ends with everything that it started. Where the system does not allow that, nothing is run.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

struct SandboxLimits {
  double seconds = 10;                  // by the clock, and of one core
  int64_t memory = int64_t{512} << 20;  // bytes of address space of each of its processes
  int64_t processes = 16;               // and threads
  int64_t files = int64_t{16} << 20;    // bytes in /tmp
  int64_t output = int64_t{1} << 20;    // bytes on its standard output, and on its standard error
};

struct SandboxJob {
  std::vector<std::string> command;  // a path in the sandbox and arguments
  std::string input = {};            // its standard input
  std::vector<std::pair<std::string, std::string>> environment = {};  // beside PATH, HOME, LANG
};

struct SandboxResult {
  // kRefused: the sandbox could not be made, and nothing ran; `errors` says why.
  enum class End : uint8_t { kExit, kTimeout, kTooMuchOutput, kRefused };
  End end = End::kRefused;
  int status = 0;  // kExit: as of a shell, 128 + n behind signal n
  std::string output, errors;
};

// Thread-safe.
class Sandbox {
 public:
  // `search_path`: where bwrap is looked for, as in PATH. Runs a small program in it. Error kConfig, naming `where`, with
  // what is missing and what to do about it.
  Sandbox(const SandboxLimits& limits, const std::string& where, const std::string& search_path);

  // The same, where programs may also read these files and folders; those that do not exist are left out.
  Sandbox with_readable(std::vector<std::filesystem::path> paths) const;

  // Runs all, `at_once` at a time; the results in the order of the jobs. `while_waiting` is called at least every
  // 100 ms and may throw: then everything that runs is ended. Throws kIo if a process cannot be started.
  std::vector<SandboxResult> run(std::span<const SandboxJob> jobs, int64_t at_once,
                                 const std::function<void()>& while_waiting = {}) const;
  SandboxResult run(const SandboxJob& job) const;

  const SandboxLimits& limits() const { return limits_; }

 private:
  std::vector<std::string> command_of(const SandboxJob& job) const;

  std::vector<std::filesystem::path> readable_;
  SandboxLimits limits_;
  std::vector<std::string> confined_;  // the command that a program's own is put behind
};

}  // namespace lathe
