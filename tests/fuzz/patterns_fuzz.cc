#include <unicode/uchar.h>

#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/split/regex.h"

namespace lathe::fuzz {
namespace {

// PCRE2 10.42 knows the characters of Unicode 14 and ICU 72 those of 15.
bool has_new_characters(std::string_view text) {
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    UVersionInfo age;
    u_charAge(static_cast<UChar32>(c.value), age);
    if (age[0] > 14) return true;
    p += c.size;
  }
  return false;
}

}  // namespace

// Every hand-written scanner cuts the pieces that its regular expression matches; invalid bytes
// count as symbols, which U+FFFD is.
void check(std::string_view bytes) {
  static const std::vector<Regex> regexes = [] {
    std::vector<Regex> made;
    for (const PatternInfo& info : kPreTokenizers) made.emplace_back(info.regex, "f");
    return made;
  }();
  const std::string valid = replace_invalid_utf8(bytes);
  if (has_new_characters(valid)) return;
  for (size_t i = 0; i < regexes.size(); ++i) {
    const uint8_t *p = as_bytes(bytes), *end = p + bytes.size();
    size_t at = 0;  // in `valid`
    regexes[i].for_each_match(valid, [&](size_t begin, size_t stop) {
      promise(begin == at && p < end);
      const uint8_t* q = kPreTokenizers[i].next(p, end);
      promise(p < q && q <= end);
      const std::string piece =
          replace_invalid_utf8({reinterpret_cast<const char*>(p), static_cast<size_t>(q - p)});
      promise(piece == std::string_view(valid).substr(begin, stop - begin));
      p = q;
      at = stop;
    });
    promise(p == end);
  }
}

std::vector<Seed> seeds() {
  return {{"english", "It's 2024,  he'Ll say:\r\n\n\tCamelCase_HTTP/ 12345 $x "},
          {"others",
           "\u4e2d\u6587 caf\u00e9's \u0301\u01c5\u017f'\u017f \u0e44\u0e17\u0e22 "
           "\xFF\xE4\xB8\u2003x\u0660"}};
}

}  // namespace lathe::fuzz
