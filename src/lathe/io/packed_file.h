// The content of a file from the first byte to the last, decompressed on the fly if it is
// compressed: gzip (RFC 1952, also several members one after the other) and zstd (RFC 8878, also
// several and skippable frames). The compression is recognised by the first bytes, never by the
// name.
//
// It is a stream: pipes work, and memory does not depend on the size of the file or of its content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

class PackedFile {
 public:
  // Throws kIo for a path that cannot be opened or is a directory.
  explicit PackedFile(const std::filesystem::path& path);
  PackedFile(PackedFile&&) noexcept;
  ~PackedFile();

  // The next bytes of the content, at most out.size(); 0 at its end. Throws kIo when the file
  // cannot be read, kFormat when compressed data is damaged or ends too early.
  size_t read(std::span<char> out);
  // Appends the next bytes of the content to `buffer`; false at the end. Errors as of read().
  bool append_to(std::string& buffer);
  // The first `n` bytes of what read() returns next, fewer if the content ends before. Errors as of
  // read(). Valid until the next call.
  std::string_view peek(size_t n);

  int64_t file_bytes() const;  // read from the file so far: compressed bytes if it is compressed
  const std::filesystem::path& path() const;

 private:
  class Input;
  class Unpacker;
  class Plain;
  class Gzip;
  class Zstd;

  std::unique_ptr<Input> input_;
  std::unique_ptr<Unpacker> unpacker_;
  std::string ahead_;  // decompressed by peek(), not yet returned
  size_t ahead_begin_ = 0;
};

}  // namespace lathe
