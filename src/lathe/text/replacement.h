// What `Replace` of a tokenizer.json does, as a normaliser and as a decoder: every match of a string
// or of an expression becomes another string. An empty string matches before every character and at
// the end. Internal to text/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lathe/text/format/json_fields.h"
#include "lathe/text/split/regex.h"

namespace lathe {

class Replacement {
 public:
  // Of an object with `pattern` and `content`. `role` names it in messages.
  Replacement(const text_json::Json& json, std::string_view role, std::string_view origin);

  // As Normalizer::Step::apply. To an expression an invalid byte is U+FFFD; it keeps its value
  // where it is not replaced.
  bool apply(std::string_view text, std::string& out, size_t& start) const;

  // Null for an expression.
  const std::string* string() const { return regex_ ? nullptr : &pattern_; }
  const std::string& content() const { return content_; }

 private:
  std::string pattern_, content_;
  std::optional<Regex> regex_;
};

}  // namespace lathe
