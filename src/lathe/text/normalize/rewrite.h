// The result of a step that goes through its text from left to right. Internal to text/.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "lathe/base/utf8.h"

namespace lathe {

class Rewrite {
 public:
  // `start` as in Normalizer::Step::apply.
  Rewrite(std::string_view text, std::string& out, size_t start)
      : text_(text), out_(out), start_(start) {}

  // text[begin, end) becomes `with`, which derives from the character that holds byte `source`.
  // begin must not be less than the end before.
  void replace(size_t begin, size_t end, std::string_view with, size_t source) {
    keep_until(begin);
    out_.append(with);
    if (source < start_) new_start_ += with.size();
    from_ = end;
    changed_ = true;
  }
  void replace(size_t begin, size_t end, std::string_view with) {
    replace(begin, end, with, begin);
  }
  // `with` stands at the beginning and derives from whatever comes first.
  void insert_in_front(std::string_view with) {
    out_.append(with);
    new_start_ += with.size();
    changed_ = true;
  }

  // What a step's apply() returns.
  bool finish(size_t& start) {
    if (!changed_) return false;
    keep_until(text_.size());
    start = new_start_;
    return true;
  }

 private:
  void keep_until(size_t at) {
    out_.append(text_.substr(from_, at - from_));
    if (from_ < start_) new_start_ += std::min(at, start_) - from_;
    from_ = at;
  }

  std::string_view text_;
  std::string& out_;
  size_t from_ = 0, start_, new_start_ = 0;
  bool changed_ = false;
};

// Which ASCII characters a step may change.
using AsciiSet = std::array<bool, 128>;
template <class F>
constexpr AsciiSet ascii_set(F contains) {
  AsciiSet set{};
  for (int c = 0; c < 128; ++c) set[static_cast<size_t>(c)] = contains(static_cast<char32_t>(c));
  return set;
}

// Goes through `text` and calls change(c, begin, end, rewrite) for every character that is not
// ASCII, kInvalidByte for invalid bytes, and for the ASCII characters of `ascii`.
template <class F>
bool rewrite_characters(std::string_view text, std::string& out, size_t& start,
                        const AsciiSet& ascii, F&& change) {
  Rewrite rewrite(text, out, start);
  const uint8_t *begin = as_bytes(text), *end = begin + text.size();
  for (const uint8_t* p = begin; p < end;) {
    if (*p < 0x80 && !ascii[*p]) {
      ++p;
      continue;
    }
    const CodePoint c = decode_utf8(p, end);
    const auto at = static_cast<size_t>(p - begin);
    change(c.value, at, at + c.size, rewrite);
    p += c.size;
  }
  return rewrite.finish(start);
}

}  // namespace lathe
