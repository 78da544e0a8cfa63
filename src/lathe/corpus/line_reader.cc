#include "lathe/corpus/line_reader.h"

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {

LineReader::LineReader(PackedFile file, size_t max_line_bytes)
    : file_(std::move(file)), max_line_bytes_(max_line_bytes) {}

LineReader::LineReader(const std::filesystem::path& path, size_t max_line_bytes)
    : LineReader(PackedFile(path), max_line_bytes) {}

bool LineReader::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  return file_.append_to(buffer_);
}

bool LineReader::next(std::string_view& line) {
  size_t searched = 0;  // so that a long line is not searched again after each fill
  while (true) {
    const size_t end = buffer_.find('\n', begin_ + searched);
    const bool found = end != std::string::npos;
    const size_t length = found ? end - begin_ : buffer_.size() - begin_;
    require(length <= max_line_bytes_, ErrorKind::kData,
            fmt::format("{}:{}", file_.path().string(), line_number_ + 1),
            "the line is longer than {}; break it into shorter lines, or raise the limit "
            "(--max-document-mib where the command has it)",
            human_bytes(static_cast<double>(max_line_bytes_)));
    if (found) {
      line = std::string_view(buffer_).substr(begin_, length);
      begin_ = end + 1;
      ++line_number_;
      return true;
    }
    searched = length;
    if (fill()) continue;
    if (buffer_.empty()) return false;
    line = buffer_;  // the last line has no line break
    begin_ = buffer_.size();
    ++line_number_;
    return true;
  }
}

}  // namespace lathe
