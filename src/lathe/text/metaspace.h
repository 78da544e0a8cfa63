// The options of Metaspace, which is a pre-tokeniser and a decoder: spaces become a visible
// character, U+2581 in SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226).
#pragma once

#include <string>
#include <string_view>

#include "lathe/text/format/json_fields.h"

namespace lathe {

// The character that stands for a space in SentencePiece's pieces.
inline constexpr std::string_view kSpaceMark = "\u2581";

struct MetaspaceOptions {
  // Whether the visible space is put before a piece that does not begin with it: before the first
  // of the text, before none, before all.
  enum class Prepend { kFirst, kNever, kAlways };

  std::string replacement;  // one character
  Prepend prepend = Prepend::kAlways;
  bool split = true;  // cut before every visible space

  // `prepend_scheme`, or in old files `add_prefix_space`. Throws kFormat where they contradict.
  static MetaspaceOptions from_json(const text_json::Json& json, std::string_view origin);
};

}  // namespace lathe
