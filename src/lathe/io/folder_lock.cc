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

// Tries for a tenth of a second.
bool lock_soon(const Descriptor& file, int kind) {
  for (int attempt = 0;; ++attempt) {
    if (::flock(file.get(), kind | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK || attempt == 10) return false;
    ::usleep(10'000);
  }
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
    if (!lock_soon(file_, LOCK_EX)) {
      require(errno == EWOULDBLOCK, ErrorKind::kIo, path_.string(), "cannot be locked: {}",
              std::generic_category().message(errno));
      fail(ErrorKind::kIo, folder.string(),
           "is in use by {}; wait until it has ended, end it, or choose another folder",
           holder(file_, path_));
    }
  } while (!is_at(file_, path_));
  if (::ftruncate(file_.get(), 0) != 0) fail_to_write(path_, errno);
  write_all(file_, this_process() + "\n", path_);
}

bool is_locked(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open() && errno == ENOENT) return false;
  require(file.is_open(), ErrorKind::kIo, path.string(),
          "cannot be opened: {}; make it readable for you", std::generic_category().message(errno));
  // A shared lock goes with the descriptor, at once.
  if (::flock(file.get(), LOCK_SH | LOCK_NB) == 0) return false;
  require(errno == EWOULDBLOCK, ErrorKind::kIo, path.string(),
          "has a lock that cannot be queried: {}", std::generic_category().message(errno));
  return true;
}

FolderLock::~FolderLock() { ::unlink(path_.c_str()); }  // then the lock goes with the descriptor

}  // namespace lathe
