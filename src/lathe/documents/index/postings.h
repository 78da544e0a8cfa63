// Lists of the pieces that have a word, as bytes: (difference of ids, how often) in groups of 7 bits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lathe {

class PostingsWriter {
 public:
  // Ids ascend.
  void add(int64_t piece, int64_t times);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  int64_t last_ = 0;
};

// Bytes that are none of a list end it.
class PostingsReader {
 public:
  explicit PostingsReader(std::string_view bytes) : bytes_(bytes) {}
  bool next();
  int64_t piece() const { return piece_; }
  int64_t times() const { return times_; }

 private:
  bool read(uint64_t& out);
  std::string_view bytes_;
  int64_t piece_ = 0, times_ = 0;
};

}  // namespace lathe
