#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "lathe/base/utf8.h"
#include "lathe/text/paged_table.h"
#include "lathe/text/split/makers.h"
#include "lathe/text/split/split_step.h"

namespace lathe {
namespace {

constexpr uint8_t kAny = 255;  // joins whatever stands before it

// The scripts of Unicode 9, with the changes of SentencePiece: Japanese is one script, a space and
// what has no script are any. Four characters have changed since.
uint8_t script_of(char32_t code_point) {
  const auto c = static_cast<UChar32>(code_point);
  if (c == ' ') return kAny;
  if (c == 0x30FC) return USCRIPT_HAN;
  if (c == 0x589 || c == 0x61C) return USCRIPT_COMMON;
  if (c == 0x953 || c == 0x954) return USCRIPT_DEVANAGARI;
  UVersionInfo age;
  u_charAge(c, age);
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(c, &status);
  if (age[0] > 9 || U_FAILURE(status) || script == USCRIPT_UNKNOWN) return kAny;
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA) return USCRIPT_HAN;
  return static_cast<uint8_t>(script);  // Unicode 9's codes are less than 200
}

class ScriptSplitter : public Splitter {
 public:
  void split(std::string_view text, std::vector<Piece>& out) const override {
    static const PagedTable<uint8_t> scripts(script_of);
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    uint8_t last = kAny;
    for (const uint8_t* p = begin; p < end;) {
      const CodePoint c = decode_utf8(p, end);
      const uint8_t script = c.value == kInvalidByte ? kAny : scripts[c.value];
      const auto at = static_cast<size_t>(p - begin);
      if (script != kAny && script != last) {
        // What stands before the first script is dropped; so the library does it.
        if (last != kAny) out.back().end = at;
        out.push_back({at, text.size()});
        last = script;
      }
      p += c.size;
    }
  }
};

}  // namespace

void make_unicode_scripts(const text_json::Json&, const PreTokenizerSteps& to) {
  add_splitter(std::make_unique<ScriptSplitter>(), to);
}

}  // namespace lathe
