// The values of a JSON text one after the other, in memory proportional to the largest of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lathe/io/packed_file.h"

namespace lathe {

// A text is either one array, whose elements are the values, or one value after the other (as jq
// prints them). What is between brackets is returned unchanged, and the parser checks it.
class JsonValues {
 public:
  // A value longer than `max_value_bytes` throws kData, naming its line; errors of PackedFile as
  // well.
  JsonValues(PackedFile file, size_t max_value_bytes);

  // The next value; false at the end. The view is valid until the next call. Throws kData, naming
  // the line, for an array that is not closed, a missing or surplus comma, and anything after an
  // array.
  bool next(std::string_view& value);
  int64_t line_number() const { return value_line_; }  // where the last value begins, from 1
  int64_t file_bytes() const { return file_.file_bytes(); }

 private:
  enum class Place { kBegin, kFirstElement, kInArray, kBehindArray, kBetweenValues };

  int next_character();  // that is not white space, not consumed; kEnd after the last
  bool begin_element();  // false at the end
  void consume(size_t n);
  bool fill();
  std::string_view take_value();
  std::string where() const;

  PackedFile file_;
  size_t max_value_bytes_;
  Place place_ = Place::kBegin;
  std::string buffer_;
  size_t begin_ = 0;  // of what is not consumed yet
  int64_t line_ = 1, value_line_ = 0;
};

}  // namespace lathe
