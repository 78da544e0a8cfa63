// How the regular expressions become scanners.
//
// All five are alternations whose branches begin with disjoint or nearly disjoint characters, so
// one look at the first character (and sometimes the second) selects the branch, and what remains
// are runs of one character class. The parts that need care are those where a regex engine would
// backtrack:
//
//   \s+(?!\S) | \s+     a run of white space gives its last character to what follows it, unless
//   the
//                       run ends the text or is one character long
//   \s*[\r\n]+          the run up to and including its last line break
//   o200k's words       U*L+ with overlapping sets: see word_o200k
//
// (?i:'s|…) folds case the Unicode way: 's also matches U+017F (long s).
#include "lathe/text/split/patterns.h"

#include <array>

#include "lathe/text/split/char_class.h"

namespace lathe {
namespace {

struct Unit {
  uint8_t cls;
  uint32_t size;
};

inline Unit unit_at(const CharClasses& classes, const uint8_t* p, const uint8_t* end) {
  if (*p < 0x80) return {classes.of_ascii(*p), 1};
  const CodePoint c = decode_utf8(p, end);
  return {classes.of(c.value), c.size};
}

inline bool is_newline(uint8_t c) { return c == '\n' || c == '\r'; }

// End of an English contraction's letters at `p` (just after the apostrophe), or nullptr.
template <bool kFoldCase>
const uint8_t* contraction(const uint8_t* p, const uint8_t* end) {
  if (p == end) return nullptr;
  const auto fold = [](uint8_t c) -> uint8_t {
    return kFoldCase && c >= 'A' && c <= 'Z' ? c + 32 : c;
  };
  const uint8_t a = fold(p[0]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 1;
  if (end - p < 2) return nullptr;
  const uint8_t b = fold(p[1]);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return p + 2;
  if (kFoldCase && p[0] == 0xC5 && p[1] == 0xBF) return p + 2;  // U+017F
  return nullptr;
}

// White space at `p`: \s+(?!\S)|\s+, preceded by \s*[\r\n]+ when kNewlines.
template <bool kNewlines>
const uint8_t* white_space(const CharClasses& classes, const uint8_t* p, const uint8_t* end) {
  const uint8_t *q = p, *last = p, *after_newline = nullptr;
  while (q < end) {
    const Unit u = unit_at(classes, q, end);
    if (!(u.cls & kSpace)) break;
    last = q;
    q += u.size;
    if (kNewlines && is_newline(*last)) after_newline = q;
  }
  if (kNewlines && after_newline != nullptr) return after_newline;
  if (q == end || last == p) return q;
  return last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const uint8_t* next_gpt2(const uint8_t* p, const uint8_t* end) {
  const CharClasses& classes = CharClasses::get();
  if (*p == '\'') {
    if (const uint8_t* q = contraction<false>(p + 1, end)) return q;
  }
  const uint8_t* q = p;
  if (*p == ' ') {
    if (++q == end) return end;
    if (*q == ' ') return white_space<false>(classes, p, end);
  }
  const Unit u = unit_at(classes, q, end);
  if (u.cls & kSpace) return white_space<false>(classes, p, end);
  return classes.skip(q + u.size, end, u.cls & (kLetter | kNumber | kOther));
}

// At most kMax numbers, the first of which is `size` bytes long.
template <int kMax>
const uint8_t* numbers(const CharClasses& classes, const uint8_t* p, uint32_t size,
                       const uint8_t* end) {
  p += size;
  for (int i = 1; i < kMax && p < end; ++i) {
    const Unit u = unit_at(classes, p, end);
    if (!(u.cls & kNumber)) break;
    p += u.size;
  }
  return p;
}

// [^\s\p{L}\p{N}]+ followed by line breaks (and, for o200k, slashes).
template <bool kSlash>
const uint8_t* symbols(const CharClasses& classes, const uint8_t* p, const uint8_t* end) {
  p = classes.skip(p, end, kOther);
  while (p < end && (is_newline(*p) || (kSlash && *p == '/'))) ++p;
  return p;
}

// The family of cl100k:
// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
// |\s*[\r\n]+|\s+(?!\S)|\s+
template <int kDigits>
const uint8_t* next_cl100k(const uint8_t* p, const uint8_t* end) {
  const CharClasses& classes = CharClasses::get();
  const Unit first = unit_at(classes, p, end);
  if (first.cls & kLetter) return classes.skip(p + first.size, end, kLetter);
  if (*p == '\'') {
    if (const uint8_t* q = contraction<true>(p + 1, end)) return q;
  }
  if (first.cls & kNumber) return numbers<kDigits>(classes, p, first.size, end);
  const uint8_t* second = p + first.size;
  if (!is_newline(*p) && second < end) {
    const Unit u = unit_at(classes, second, end);
    if (u.cls & kLetter) return classes.skip(second + u.size, end, kLetter);
    if (*p == ' ' && (u.cls & kOther)) return symbols<false>(classes, second, end);
  }
  if (first.cls & kOther) return symbols<false>(classes, p, end);
  return white_space<true>(classes, p, end);
}

// One word of o200k at `p`: U*L+ or else U+L*, where U = [Lu Lt Lm Lo M] and L = [Ll Lm Lo M]
// overlap. The engine takes the longest run of U. If a lower-case letter follows, L+ goes on from
// there. If not, U* gives back characters until the last one given back is in L; what stands behind
// it is upper case only, so the word ends right after it. When the run holds no character of L at
// all, the first branch has failed and the second takes the whole run.
struct Word {
  const uint8_t* end;  // nullptr: neither branch matches
  bool first_branch;
};

Word word_o200k(const CharClasses& classes, const uint8_t* p, const uint8_t* end) {
  const uint8_t *q = p, *after_last_common = nullptr;
  while (q < end) {
    Unit u = unit_at(classes, q, end);
    if (!(u.cls & (kLetter | kMark))) break;
    if (u.cls & kLower) {
      do {
        q += u.size;
      } while (q < end && (u = unit_at(classes, q, end), u.cls & (kLetter | kMark)) &&
               !(u.cls & kUpper));
      return {q, true};
    }
    q += u.size;
    if (!(u.cls & kUpper)) after_last_common = q;
  }
  if (after_last_common != nullptr) return {after_last_common, true};
  return {q > p ? q : nullptr, false};
}

const uint8_t* with_contraction(const uint8_t* p, const uint8_t* end) {
  if (p < end && *p == '\'') {
    if (const uint8_t* q = contraction<true>(p + 1, end)) return q;
  }
  return p;
}

// [^\r\n\p{L}\p{N}]?U*L+(?i:'s|…)? | [^\r\n\p{L}\p{N}]?U+L*(?i:'s|…)? | \p{N}{1,3}
// | ?[^\s\p{L}\p{N}]+[\r\n/]* | \s*[\r\n]+ | \s+(?!\S) | \s+
const uint8_t* next_o200k(const uint8_t* p, const uint8_t* end) {
  const CharClasses& classes = CharClasses::get();
  const Unit first = unit_at(classes, p, end);
  if (first.cls & kLetter) return with_contraction(word_o200k(classes, p, end).end, end);
  if (first.cls & kNumber) return numbers<3>(classes, p, first.size, end);
  const uint8_t* second = p + first.size;
  if (!is_newline(*p) && second < end) {
    const Word word = word_o200k(classes, second, end);
    // Without the first branch, a mark in front is not a prefix but a word by itself.
    if (word.end != nullptr && (word.first_branch || !(first.cls & kMark)))
      return with_contraction(word.end, end);
    if (*p == ' ' && (unit_at(classes, second, end).cls & kOther))
      return symbols<true>(classes, second, end);
  }
  if (first.cls & kMark) return with_contraction(second, end);
  if (first.cls & kOther) return symbols<true>(classes, p, end);
  return white_space<true>(classes, p, end);
}

constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100kRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200kRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array<std::string_view, 2> kGpt2Spellings = {
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"};

// Published by tiktoken; possessive, and with one line break where the other spelling has many:
// since \s* takes all it can, both end after the last line break of the run.
constexpr std::array<std::string_view, 2> kCl100kSpellings = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
    R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"};

constexpr std::array<PatternInfo, 5> kTable = {{
    {Pattern::kGpt2, "gpt2", "GPT-2, GPT-NeoX, Pythia, Falcon: words with their leading space",
     kGpt2Regex, kGpt2Spellings, next_gpt2, true},
    {Pattern::kCl100k, "cl100k",
     "GPT-4: a word may start with any one symbol, digits are grouped in threes", kCl100kRegex,
     kCl100kSpellings, next_cl100k<3>, false},
    {Pattern::kLlama3, "llama3", "Llama 3: the same pieces as cl100k", kCl100kRegex,
     kCl100kSpellings, next_cl100k<3>, false},
    {Pattern::kQwen2,
     "qwen2",
     "Qwen 2 and later: cl100k, but every digit is a piece of its own",
     kQwen2Regex,
     {},
     next_cl100k<1>,
     false},
    {Pattern::kO200k,
     "o200k",
     "GPT-4o: words split where the case changes",
     kO200kRegex,
     {},
     next_o200k,
     false},
}};

}  // namespace

const std::span<const PatternInfo> kPreTokenizers = kTable;

const PatternInfo& pattern_info(Pattern pattern) { return kTable[static_cast<size_t>(pattern)]; }

std::optional<Pattern> find_pattern(std::string_view name) {
  for (const PatternInfo& info : kTable)
    if (info.name == name) return info.pattern;
  return std::nullopt;
}

std::optional<Pattern> pattern_of_regex(std::string_view regex) {
  for (const PatternInfo& info : kTable) {
    if (info.regex == regex) return info.pattern;
    for (std::string_view spelling : info.spellings)
      if (spelling == regex) return info.pattern;
  }
  return std::nullopt;
}

}  // namespace lathe
