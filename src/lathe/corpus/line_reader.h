// Lines of a file of any size, in constant memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "lathe/io/packed_file.h"

namespace lathe {

class LineReader {
 public:
  // A line longer than `max_line_bytes` throws kData, naming it; errors of PackedFile as well.
  LineReader(PackedFile file, size_t max_line_bytes);
  LineReader(const std::filesystem::path& path, size_t max_line_bytes);

  // The next line without its "\n"; false at the end. The view is valid until the next call.
  bool next(std::string_view& line);
  int64_t line_number() const { return line_number_; }  // of the last line, from 1
  int64_t file_bytes() const { return file_.file_bytes(); }

 private:
  bool fill();

  PackedFile file_;
  size_t max_line_bytes_;
  std::string buffer_;
  size_t begin_ = 0;  // of what has not been returned yet
  int64_t line_number_ = 0;
};

}  // namespace lathe
