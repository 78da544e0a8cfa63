// A text file, mapped read-only for as long as the object lives.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

class SourceFile {
 public:
  // Throws kIo, naming the path and the reason, for a file that cannot be read or is not a regular
  // file.
  explicit SourceFile(const std::string& path);
  SourceFile(SourceFile&& other) noexcept;
  SourceFile& operator=(SourceFile&& other) noexcept;
  ~SourceFile();

  std::string_view text() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lathe
