#include "lathe/serve/vote_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "lathe/serve/api_error.h"

namespace lathe {
namespace {

// Keeps other programs out of the file while it lives.
class Turn {
 public:
  Turn(const Descriptor& file, const std::filesystem::path& path) : fd_(file.get()) {
    while (::flock(fd_, LOCK_EX) != 0)
      if (errno != EINTR) fail_to_write(path, errno);
  }
  ~Turn() { ::flock(fd_, LOCK_UN); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  int fd_;
};

}  // namespace

VoteFile::VoteFile(std::filesystem::path path) : path_(std::move(path)) {
  constexpr mode_t kMode = 0666;  // less the umask
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode));
  if (!file_.is_open()) fail_to_write(path_, errno);
}

void VoteFile::append(const nlohmann::ordered_json& record) {
  const std::string line = dumped(record) + "\n";
  const std::lock_guard lock(mutex_);
  const Turn turn(file_, path_);
  struct stat before {};
  if (::fstat(file_.get(), &before) != 0) fail_to_write(path_, errno);
  ssize_t written = -1;
  do {
    written = ::write(file_.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == std::ssize(line)) return;
  const int problem = written < 0 ? errno : ENOSPC;
  // The beginning of a line would spoil the next one. Where the file cannot be cut there is nothing left to try.
  if (written > 0 && ::ftruncate(file_.get(), before.st_size) != 0) fail_to_write(path_, errno);
  fail_to_write(path_, problem);
}

}  // namespace lathe
