#include "lathe/io/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>

#include "lathe/base/error.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
constexpr size_t kBufferBytes = 1 << 20;
constexpr std::string_view kMark = ".tmp-";

// A short stand-in for the host's name, which may hold characters that file names should not.
std::string host_tag() {
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  uint32_t hash = 0x811C9DC5u;  // FNV-1a
  for (const char* c = name; *c != '\0'; ++c)
    hash = (hash ^ static_cast<unsigned char>(*c)) * 0x01000193u;
  return fmt::format("{:08x}", hash);
}

fs::path temporary_name(const fs::path& path) {
  static std::atomic<uint64_t> counter{0};
  fs::path name = path;
  name += fmt::format("{}{}-{}-{}", kMark, host_tag(), ::getpid(), counter++);
  return name;
}

// "dir/" has no file name of its own; the name to rename to is dir.
fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

bool is_dead(const fs::path& path) {
  const std::string name = path.filename().string();
  const size_t mark = name.rfind(kMark);
  if (mark == std::string::npos) return false;
  const std::string tail = name.substr(mark + kMark.size());
  const size_t dash = tail.find('-');
  if (dash == std::string::npos) return false;
  const std::string host = tail.substr(0, dash);
  int pid = 0;
  const char* end = tail.data() + tail.size();
  const auto parsed = std::from_chars(tail.data() + dash + 1, end, pid);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '-' || pid <= 0) return false;
  if (host == host_tag()) return ::kill(pid, 0) != 0 && errno == ESRCH;
  std::error_code error;
  const auto written = fs::last_write_time(path, error);
  return !error && fs::file_time_type::clock::now() - written > std::chrono::hours(24);
}

void sync_tree(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory())
      sync_directory(entry.path());
    else
      sync(open_to_read(entry.path()), entry.path());
  }
  sync_directory(folder);
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  std::error_code error;
  if (fs::is_symlink(path_, error)) {
    const fs::path target = fs::weakly_canonical(path_, error);
    if (!error) path_ = target;
  }
  struct stat info {};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  require(!exists || !S_ISDIR(info.st_mode), ErrorKind::kIo, path.string(),
          "cannot be written: it is a folder; give a file name");
  int fd = -1;
  if (exists && !S_ISREG(info.st_mode)) {
    fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    temporary_ = temporary_name(path_);
    fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  }
  if (fd < 0) {
    temporary_.clear();
    fail_to_write(path, errno);
  }
  file_ = Descriptor(fd);
  // Keeping the mode of the replaced file is a courtesy; a file system without modes may refuse.
  if (exists && !temporary_.empty() && ::fchmod(fd, info.st_mode & 07777) != 0) errno = 0;
  buffer_.reserve(kBufferBytes);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, fs::path())),
      file_(std::move(other.file_)),
      buffer_(std::move(other.buffer_)),
      size_(other.size_) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  require(file_.is_open(), ErrorKind::kIo, path_.string(), "is written after its commit");
  size_ += bytes.size();
  const std::span<const char> chars(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (buffer_.size() + chars.size() > kBufferBytes) flush();
  if (chars.size() >= kBufferBytes)
    write_all(file_, chars, path_);
  else
    buffer_.append(chars.data(), chars.size());
}

void AtomicFile::flush() {
  write_all(file_, buffer_, path_);
  buffer_.clear();
}

void AtomicFile::commit(const std::function<void()>& before_naming) {
  require(file_.is_open(), ErrorKind::kIo, path_.string(), "is committed twice");
  flush();
  sync(file_, path_);
  // A network file system may report a failed write only when the file is closed.
  if (::close(file_.release()) != 0 && errno != EINTR) fail_to_write(path_, errno);
  if (temporary_.empty()) return;
  if (before_naming) before_naming();
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_to_write(path_, errno);
  temporary_.clear();
  sync_directory(path_.parent_path());
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

AtomicDirectory::AtomicDirectory(const fs::path& path, IfExists if_exists)
    : path_(without_trailing_slash(path)), if_exists_(if_exists) {
  std::error_code error;
  require(if_exists == IfExists::kReplace || !fs::exists(fs::symlink_status(path_, error)),
          ErrorKind::kIo, path_.string(), "already exists; choose another name or remove it first");
  error.clear();  // of a name that is free
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  if (error) fail_to_write(path_.parent_path(), error.value());
  const fs::path temporary = temporary_name(path_);
  if (::mkdir(temporary.c_str(), 0777) != 0) fail_to_write(path_, errno);
  temporary_ = temporary;
}

AtomicDirectory::~AtomicDirectory() {
  std::error_code ignored;  // a leftover is harmless and remove_leftovers() finds it
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void AtomicDirectory::commit(const std::function<void()>& before_naming) {
  require(!temporary_.empty(), ErrorKind::kIo, path_.string(), "is committed twice");
  sync_tree(temporary_);
  if (before_naming) before_naming();
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
    temporary_.clear();
  } else if (errno == EEXIST && if_exists_ == IfExists::kRefuse) {
    fail(ErrorKind::kIo, path_.string(),
         "was created by another process in the meantime; nothing was replaced");
  } else if (errno == EEXIST && ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                                            RENAME_EXCHANGE) == 0) {
    // temporary_ now holds the old content; the destructor removes it.
  } else {
    // A file system without these flags: move the old folder aside, then the new one into place.
    const fs::path old = temporary_name(path_);
    const bool moved = ::rename(path_.c_str(), old.c_str()) == 0;
    if (!moved && errno != ENOENT) fail_to_write(path_, errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      const int reason = errno;
      if (moved && ::rename(old.c_str(), path_.c_str()) != 0)
        fail(ErrorKind::kIo, path_.string(), "cannot be replaced: {}; the old folder is now {}",
             std::strerror(reason), old.string());
      fail_to_write(path_, reason);
    }
    temporary_ = moved ? old : fs::path();
  }
  sync_directory(path_.parent_path());
  if (temporary_.empty()) return;
  std::error_code ignored;  // as in the destructor
  fs::remove_all(temporary_, ignored);
  temporary_.clear();
}

std::vector<fs::path> leftover_temporaries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (is_dead(it->path())) found.push_back(it->path());
  if (error && error != std::errc::no_such_file_or_directory)
    fail(ErrorKind::kIo, folder.string(), "cannot be listed: {}", error.message());
  std::sort(found.begin(), found.end());
  return found;
}

int remove_leftovers(const fs::path& folder) {
  int removed = 0;
  for (const auto& path : leftover_temporaries(folder)) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) fail(ErrorKind::kIo, path.string(), "cannot be removed: {}", error.message());
    ++removed;
  }
  return removed;
}

void remove_own_temporaries(const fs::path& folder) {
  const std::string mark = fmt::format("{}{}-{}-", kMark, host_tag(), ::getpid());
  std::map<std::string, std::vector<fs::path>> temporaries;  // by the name they are for
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const size_t at = name.rfind(mark);
    if (at != std::string::npos) temporaries[name.substr(0, at)].push_back(it->path());
  }
  for (const auto& [name, paths] : temporaries) {
    if (paths.size() > 1 && !fs::exists(fs::symlink_status(folder / name, error))) continue;
    for (const fs::path& path : paths) fs::remove_all(path, error);  // nobody is left to be told
  }
}

}  // namespace lathe
