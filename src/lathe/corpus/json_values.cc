#include "lathe/corpus/json_values.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/corpus/json_scanner.h"

namespace lathe {

namespace {

constexpr int kEnd = -1;

std::string shown(int c) {
  return c == kEnd ? "the end" : fmt::format("'{}'", static_cast<char>(c));
}

}  // namespace

JsonValues::JsonValues(PackedFile file, size_t max_value_bytes)
    : file_(std::move(file)), max_value_bytes_(max_value_bytes) {}

std::string JsonValues::where() const { return fmt::format("{}:{}", file_.path().string(), line_); }

bool JsonValues::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  return file_.append_to(buffer_);
}

void JsonValues::consume(size_t n) {
  const auto at = buffer_.begin() + static_cast<ptrdiff_t>(begin_);
  line_ += std::count(at, at + static_cast<ptrdiff_t>(n), '\n');
  begin_ += n;
}

int JsonValues::next_character() {
  while (true) {
    while (begin_ < buffer_.size() && is_json_space(buffer_[begin_])) consume(1);
    if (begin_ < buffer_.size()) return static_cast<unsigned char>(buffer_[begin_]);
    if (!fill()) return kEnd;
  }
}

std::string_view JsonValues::take_value() {
  value_line_ = line_;
  JsonScanner scanner;
  size_t length = 0;
  do {
    length += scanner.scan(std::string_view(buffer_).substr(begin_ + length));
    require(length <= max_value_bytes_, ErrorKind::kData, where(),
            "the JSON value that begins here is larger than {}; raise --max-document-mib",
            human_bytes(static_cast<double>(max_value_bytes_)));
  } while (!scanner.ended() && fill());
  require(length > 0, ErrorKind::kData, where(), "expected a JSON value, found {}",
          shown(next_character()));
  const size_t at = begin_;
  consume(length);
  return std::string_view(buffer_).substr(at, length);
}

bool JsonValues::begin_element() {
  int c = next_character();
  if (place_ == Place::kInArray && c == ',') {
    consume(1);
    c = next_character();
    require(c != ']', ErrorKind::kData, where(), "expected a JSON value after the comma");
  } else if (c == ']') {
    consume(1);
    place_ = Place::kBehindArray;
    c = next_character();
    require(c == kEnd, ErrorKind::kData, where(),
            "something follows the JSON array; a file holds one array, or one object on each line");
    return false;
  } else {
    require(place_ == Place::kFirstElement || c == kEnd, ErrorKind::kData, where(),
            "expected a comma or the end of the JSON array, found {}", shown(c));
  }
  require(c != kEnd, ErrorKind::kData, where(),
          "the JSON array is not closed; the file is truncated; copy or download it again");
  place_ = Place::kInArray;
  return true;
}

bool JsonValues::next(std::string_view& value) {
  if (place_ == Place::kBegin) {
    const bool array = next_character() == '[';
    if (array) consume(1);
    place_ = array ? Place::kFirstElement : Place::kBetweenValues;
  }
  const bool more = place_ == Place::kBetweenValues ? next_character() != kEnd
                    : place_ == Place::kBehindArray ? false
                                                    : begin_element();
  if (more) value = take_value();
  return more;
}

}  // namespace lathe
