#include "lathe/io/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

std::string advice(const std::filesystem::path& path, int error_number) {
  switch (error_number) {
    case ENOSPC: {
      std::error_code ignored;
      const auto space = std::filesystem::space(path.parent_path(), ignored);
      const std::string left =
          ignored ? std::string()
                  : fmt::format(" ({} left)", human_bytes(static_cast<double>(space.available)));
      return fmt::format("free space on this disk{} or write to another one", left);
    }
    case EDQUOT:
      return "free some of your quota or write to another disk";
    case EFBIG:
      return "raise the file size limit (ulimit -f) or write to another file system";
    case EACCES:
    case EPERM:
      return "check the permissions of the folder or write somewhere else";
    case EROFS:
      return "this file system is read-only; write somewhere else";
    case ENOENT:
      return "create the folder first";
    case ENOTDIR:
      return "a part of this path is a file, not a folder; choose another path";
    case EIO:
      return "the disk reports an error; look at the system log (dmesg) and write to another disk";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files (ulimit -n)";
    default:
      return "check the path and the disk";
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor open_to_read(const std::filesystem::path& path) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  require(fd >= 0, ErrorKind::kIo, path.string(), "cannot be opened: {}", std::strerror(errno));
  Descriptor file(fd);
  struct stat info {};
  require(::fstat(fd, &info) == 0, ErrorKind::kIo, path.string(), "cannot be read: {}",
          std::strerror(errno));
  require(!S_ISDIR(info.st_mode), ErrorKind::kIo, path.string(), "is a directory, expected a file");
  return file;
}

size_t read_some(const Descriptor& file, std::span<char> buffer,
                 const std::filesystem::path& path) {
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR)
      fail(ErrorKind::kIo, path.string(), "cannot be read: {}", std::strerror(errno));
  }
}

void write_all(const Descriptor& file, std::span<const char> bytes,
               const std::filesystem::path& path) {
  // Linux writes at most 2 GiB a call; a full disk first shows as a short write, then as ENOSPC.
  constexpr size_t kMost = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), std::min(bytes.size(), kMost));
    if (put > 0)
      bytes = bytes.subspan(static_cast<size_t>(put));
    else if (put == 0 || errno != EINTR)
      fail_to_write(path, put == 0 ? ENOSPC : errno);
  }
}

void sync(const Descriptor& file, const std::filesystem::path& path) {
  while (::fsync(file.get()) != 0) {
    if (errno == EINTR) continue;
    // Pipes and some devices have nothing to make durable and answer so.
    if (errno == EINVAL || errno == EROFS) return;
    fail_to_write(path, errno);
  }
}

void sync_directory(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder.empty() ? std::filesystem::path(".") : folder;
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) fail_to_write(path, errno);
  sync(directory, path);
}

void fail_to_write(const std::filesystem::path& path, int error_number) {
  fail(ErrorKind::kIo, path.string(), "cannot be written: {}; {}", std::strerror(error_number),
       advice(path, error_number));
}

}  // namespace lathe
