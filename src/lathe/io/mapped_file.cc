#include "lathe/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/descriptor.h"

namespace lathe {

MappedFile::MappedFile(const std::filesystem::path& path, Access access) : path_(path) {
  const Descriptor file = open_to_read(path);
  struct stat info {};
  require(::fstat(file.get(), &info) == 0, ErrorKind::kIo, path.string(), "cannot be read: {}",
          std::strerror(errno));
  require(S_ISREG(info.st_mode), ErrorKind::kIo, path.string(),
          "is not a regular file and cannot be mapped; copy it to a file first");
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  require(data != MAP_FAILED, ErrorKind::kIo, path.string(), "{} cannot be mapped: {}",
          human_bytes(static_cast<double>(size_)), std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
  // Only a hint for the kernel's read-ahead: its failure changes nothing.
  if (access == Access::kSequential) ::madvise(data, size_, MADV_SEQUENTIAL);
  if (access == Access::kRandom) ::madvise(data, size_, MADV_RANDOM);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::drop(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto first = static_cast<size_t>(part.data() - data_);
  const size_t begin = (first + page - 1) / page * page, end = (first + part.size()) / page * page;
  // A hint, too.
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

std::string read_file(const std::filesystem::path& path, size_t max_bytes) {
  const Descriptor file = open_to_read(path);
  std::string text;
  constexpr size_t kStep = 1 << 20;
  struct stat info {};
  if (::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode))
    text.reserve(std::min(static_cast<size_t>(info.st_size), max_bytes) + 1);
  while (true) {
    const size_t old = text.size();
    text.resize(old + kStep);
    const size_t got = read_some(file, {text.data() + old, kStep}, path);
    text.resize(old + got);
    require(text.size() <= max_bytes, ErrorKind::kData, path.string(),
            "is larger than {}, which is the most that is read here",
            human_bytes(static_cast<double>(max_bytes)));
    if (got == 0) return text;
  }
}

}  // namespace lathe
