#include "lathe/text/replacement.h"

#include "lathe/base/utf8.h"
#include "lathe/text/normalize/rewrite.h"
#include "lathe/text/split/respelled.h"

namespace lathe {

Replacement::Replacement(const text_json::Json& json, std::string_view role,
                         std::string_view origin)
    : content_(text_json::get_string(json, "content", origin)) {
  const text_json::Json& pattern = text_json::get(json, "pattern", origin);
  if (pattern.is_object() && pattern.contains("Regex")) {
    regex_.emplace(text_json::get_string(pattern, "Regex", origin), origin);
  } else if (pattern.is_object() && pattern.contains("String")) {
    pattern_ = text_json::get_string(pattern, "String", origin);
    if (pattern_.empty()) regex_.emplace("", origin);
  } else {
    text_json::bad(origin, "the pattern of {} Replace is neither String nor Regex", role);
  }
}

bool Replacement::apply(std::string_view text, std::string& out, size_t& start) const {
  if (text.empty()) return false;
  Rewrite rewrite(text, out, start);
  // What replaces a match derives from the match's last character; what stands for an empty one,
  // from the character before.
  const auto replace = [&](size_t begin, size_t end) {
    if (end == 0) return rewrite.insert_in_front(content_);
    rewrite.replace(begin, end, content_, end - 1);
  };
  if (!regex_) {
    for (size_t at = text.find(pattern_); at != std::string_view::npos;
         at = text.find(pattern_, at + pattern_.size()))
      replace(at, at + pattern_.size());
  } else if (is_valid_utf8(text)) {
    regex_->for_each_match(text, replace);
  } else {
    const Respelled valid = with_valid_utf8(text);
    regex_->for_each_match(valid.text, [&](size_t begin, size_t end) {
      replace(valid.origin[begin], valid.origin[end]);
    });
  }
  return rewrite.finish(start);
}

}  // namespace lathe
