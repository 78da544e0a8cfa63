#include "lathe/text/source_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lathe/base/error.h"

namespace lathe {

SourceFile::SourceFile(const std::string& path) : path_(path) {
  constexpr std::string_view kWhere = "read";
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(file >= 0, ErrorKind::kIo, kWhere, "cannot open {}: {}", path, std::strerror(errno));
  struct stat info = {};
  const bool regular = ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  void* data = nullptr;
  int error = 0;
  if (regular && info.st_size > 0) {
    data = ::mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) error = errno;
  }
  ::close(file);
  require(regular, ErrorKind::kIo, kWhere, "{} is not a regular file", path);
  require(error == 0, ErrorKind::kIo, kWhere, "cannot map {}: {}", path, std::strerror(error));
  data_ = static_cast<const char*>(data);
  size_ = static_cast<size_t>(info.st_size);
}

SourceFile::SourceFile(SourceFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SourceFile& SourceFile::operator=(SourceFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SourceFile::~SourceFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace lathe
