// Finds where a JSON value ends without building it.
#pragma once

#include <string_view>

namespace lathe {

inline bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Follows one value through as many pieces of text as necessary. It counts brackets and skips
// strings; the parser decides whether the rest is valid JSON.
class JsonScanner {
 public:
  // Continues with `piece` and returns how many of its bytes belong to the value: if ended() is
  // then true, the value ends there; else all of them.
  size_t scan(std::string_view piece) {
    for (size_t i = 0; i < piece.size(); ++i) {
      if (take(piece[i])) continue;
      ended_ = true;
      return closed_ ? i + 1 : i;
    }
    return piece.size();
  }
  bool ended() const { return ended_; }
  int depth() const { return depth_; }  // of open arrays and objects

 private:
  // False: the value ends with this character (closed_), or before it.
  bool take(char c) {
    if (in_string_) {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else if (c == '"')
        in_string_ = false;
      closed_ = !in_string_ && depth_ == 0;
      return !closed_;
    }
    if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      if (depth_ == 0) return false;  // of what is around the value
      closed_ = --depth_ == 0;
      return !closed_;
    } else if (depth_ == 0) {
      return !is_json_space(c) && c != ',';  // a number or word
    }
    return true;
  }

  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, closed_ = false, ended_ = false;
};

}  // namespace lathe
