#include "lathe/io/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lathe/base/error.h"

namespace lathe {
namespace {

std::string this_process() {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

std::string holder(const Descriptor& file, const std::filesystem::path& path) {
  std::string text(512, '\0');
  text.resize(read_some(file, text, path));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "another process" : text;
}

// Whoever held the lock may have removed the file that was opened here.
bool is_at(const Descriptor& file, const std::filesystem::path& path) {
  struct stat opened {
  }, there{};
  return ::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &there) == 0 &&
         opened.st_ino == there.st_ino && opened.st_dev == there.st_dev;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) : path_(folder / ".lock") {
  do {
    file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!file_.is_open()) fail_to_write(path_, errno);
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      require(errno == EWOULDBLOCK, ErrorKind::kIo, path_.string(), "cannot be locked: {}",
              std::generic_category().message(errno));
      fail(ErrorKind::kIo, folder.string(),
           "is in use by {}; wait until that has ended, end it, or choose another folder",
           holder(file_, path_));
    }
  } while (!is_at(file_, path_));
  if (::ftruncate(file_.get(), 0) != 0) fail_to_write(path_, errno);
  write_all(file_, this_process() + "\n", path_);
}

FolderLock::~FolderLock() { ::unlink(path_.c_str()); }  // then the lock goes with the descriptor

}  // namespace lathe
