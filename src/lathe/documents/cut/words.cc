#include "lathe/documents/cut/words.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uscript.h>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/documents/cut/text_breaks.h"

namespace lathe {
namespace {

constexpr size_t kLongest = 64;

void check(UErrorCode status) {
  require(U_SUCCESS(status), ErrorKind::kData, "words", "ICU says {}; is its data installed?",
          u_errorName(status));
}

const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool is_unspaced(char32_t c) {
  if (c < 0x2E80) return false;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA;
}

std::string folded(std::string_view word) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* fold = icu::Normalizer2::getNFKCCasefoldInstance(status);
  check(status);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  fold->normalizeUTF8(0, icu::StringPiece(word.data(), static_cast<int32_t>(word.size())), sink,
                      nullptr, status);
  check(status);
  return out;
}

class Words {
 public:
  explicit Words(const std::function<void(const std::string&)>& on_word) : on_word_(on_word) {}

  // Letters and digits that stand together.
  void take(std::string_view text, int64_t at) {
    bool ascii = true;
    for (const char c : text) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
    if (ascii) return give(lower(text));
    const uint8_t* const begin = bytes_of(text);
    const uint8_t* const end = begin + text.size();
    const uint8_t* spaced = begin;
    for (const uint8_t* p = begin; p < end;) {
      const CodePoint c = decode_utf8(p, end);
      if (is_unspaced(c.value)) {
        give_folded(spaced, p);
        take_unspaced(std::string(p, p + c.size), at + (p - begin));
        spaced = p + c.size;
      }
      p += c.size;
    }
    give_folded(spaced, end);
  }

 private:
  static std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
  }

  void take_unspaced(std::string character, int64_t at) {
    give(character);
    if (at == next_ && !last_.empty()) give(last_ + character);
    next_ = at + static_cast<int64_t>(character.size());
    last_ = std::move(character);
  }

  void give_folded(const uint8_t* begin, const uint8_t* end) {
    if (begin < end)
      give(folded({reinterpret_cast<const char*>(begin), static_cast<size_t>(end - begin)}));
  }

  void give(std::string word) {
    if (word.size() > kLongest)
      word.resize(kLongest - incomplete_utf8_tail(word.substr(0, kLongest)));
    if (!word.empty()) on_word_(word);
  }

  const std::function<void(const std::string&)>& on_word_;
  std::string last_;   // the last character of a text without blanks,
  int64_t next_ = -1;  // and where its neighbour would stand
};

}  // namespace

void for_each_word(std::string_view text, const std::function<void(const std::string&)>& on_word) {
  Words words(on_word);
  for_each_part(text, BreakKind::kWords, [&](int64_t begin, int64_t end, bool letters) {
    if (!letters) return;
    words.take(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), begin);
  });
}

}  // namespace lathe
