// A file descriptor that closes itself, and the few system calls on it with errors that name the
// path. Shared inside io/ and corpus/.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace lathe {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Opens for reading; a directory is refused. Throws kIo.
Descriptor open_to_read(const std::filesystem::path& path);

// Reads up to buffer.size() bytes; returns 0 at the end of the file. Throws kIo.
size_t read_some(const Descriptor& file, std::span<char> buffer, const std::filesystem::path& path);

// Writes all bytes, with as many calls as that takes. Throws kIo through fail_to_write.
void write_all(const Descriptor& file, std::span<const char> bytes,
               const std::filesystem::path& path);

// Makes the content of a file, or the names in a directory, durable. Throws kIo.
void sync(const Descriptor& file, const std::filesystem::path& path);
void sync_directory(const std::filesystem::path& folder);

// Throws kIo: what failed, the text of `error_number` and what to do about it.
[[noreturn]] void fail_to_write(const std::filesystem::path& path, int error_number);

}  // namespace lathe
