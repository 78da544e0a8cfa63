// The pre-tokeniser patterns of well-known tokenizers, each twice: as the regular expression its
// tokenizer.json or its published code states, and as a hand-written scanner that cuts the same
// pieces in one pass. The tests hold every scanner against PCRE2 on random Unicode text.
//
// A scanner covers its input without gaps: each piece begins where the one before ended.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

// Do not renumber: kPreTokenizers is indexed by it.
enum class Pattern : int { kGpt2 = 0, kCl100k = 1, kLlama3 = 2, kQwen2 = 3, kO200k = 4 };

// End of the piece that begins at `p`; requires p < end. Amortised linear over a text; reads
// [p, end) only. Invalid bytes count as symbols (neither letters, digits nor white space).
using PieceScanner = const uint8_t* (*)(const uint8_t* p, const uint8_t* end);

struct PatternInfo {
  Pattern pattern;
  std::string_view name;                        // what --pattern takes
  std::string_view description;                 // one line for help and docs
  std::string_view regex;                       // as written to tokenizer.json
  std::span<const std::string_view> spellings;  // other regexes in use with exactly the same pieces
  PieceScanner next;
  bool byte_level_regex;  // the one that `ByteLevel` with use_regex = true stands for
};

extern const std::span<const PatternInfo> kPreTokenizers;

const PatternInfo& pattern_info(Pattern pattern);
std::optional<Pattern> find_pattern(std::string_view name);
// The pattern whose regex or one of whose spellings is exactly `regex`.
std::optional<Pattern> pattern_of_regex(std::string_view regex);

}  // namespace lathe
