// A process that this one started: the only way in which the library starts programs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/io/descriptor.h"

namespace lathe {

// Both ends close when a program is started, but for those that it is given. Throws kIo, naming `program`.
struct Pipe {
  explicit Pipe(const std::string& program);
  Descriptor to_read, to_write;
};

// Sends as much of `unsent` as a pipe that does not block takes now, and removes it. False if nobody reads any
// more, which is no signal (SIGPIPE), whatever this program has decided about signals.
bool send_some(const Descriptor& pipe, std::string& unsent);

// Appends what there is to read in a pipe that does not block; false at its end.
bool receive_some(const Descriptor& pipe, std::string& text);

// Runs in a process group of its own, which is killed when the object ends. Not thread-safe.
class StartedProcess {
 public:
  // `command` is a program's path and its arguments. `given` are pairs of a descriptor of ours and its number in
  // the program, which rise from one to the next; 0, 1 and 2 are ours unless they are given. It gets no other file
  // that we have open. Throws kIo.
  StartedProcess(const std::vector<std::string>& command,
                 const std::vector<std::pair<int, int>>& given);
  ~StartedProcess();
  StartedProcess(const StartedProcess&) = delete;
  StartedProcess& operator=(const StartedProcess&) = delete;

  void kill() const;
  // Readable once the process has ended.
  const Descriptor& ended() const { return ended_; }
  // Waits for its end and kills what is left of its group. The status of waitpid().
  int wait();

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
  Descriptor ended_;
};

// The files of this name that can be executed, in the order of `search_path` (as in PATH: folders with ':' between
// them). A name with a '/' is a path and stands for itself.
std::vector<std::filesystem::path> find_programs(const std::string& name,
                                                 const std::string& search_path);

}  // namespace lathe
