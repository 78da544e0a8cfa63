// A file as read-only memory, and small files as strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace lathe {

// A private read-only mapping of a regular file. Pages come from the disk as they are touched. A
// file that another program shortens while it is mapped ends the process with SIGBUS, as with every
// mapping; files written by AtomicFile are replaced, never shortened. Reading is thread-safe.
class MappedFile {
 public:
  enum class Access { kNormal, kSequential, kRandom };

  MappedFile() = default;  // empty
  // Throws kIo if the path cannot be opened or is not a regular file.
  explicit MappedFile(const std::filesystem::path& path, Access access = Access::kNormal);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Gives back the memory of the pages that lie wholly in a part of bytes(): what has been read once and copied. They
  // come from the file again when they are touched.
  void drop(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The whole content of a file (also of a pipe or device). Throws kIo when it cannot be read, kData
// when it is larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 32);

}  // namespace lathe
