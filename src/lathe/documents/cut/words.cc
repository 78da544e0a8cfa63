#include "lathe/documents/cut/words.h"

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/utext.h>

#include <memory>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"

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
  static const UNormalizer2* const kFold = unorm2_getNFKCCasefoldInstance(&status);
  check(status);
  std::u16string wide;
  const uint8_t* end = bytes_of(word) + word.size();
  for (const uint8_t* p = bytes_of(word); p < end;) {
    const CodePoint c = decode_utf8(p, end);
    p += c.size;
    if (c.value == kInvalidByte) continue;
    if (c.value < 0x10000) {
      wide += static_cast<char16_t>(c.value);
    } else {
      wide += static_cast<char16_t>(0xD7C0 + (c.value >> 10));
      wide += static_cast<char16_t>(0xDC00 + (c.value & 0x3FF));
    }
  }
  std::u16string out(wide.size() * 4 + 16, u'\0');
  const int32_t size = unorm2_normalize(kFold, wide.data(), static_cast<int32_t>(wide.size()),
                                        out.data(), static_cast<int32_t>(out.size()), &status);
  check(status);
  std::string folded;
  for (int32_t i = 0; i < size; ++i) {
    char32_t c = out[static_cast<size_t>(i)];
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < size)
      c = 0x10000 + ((c - 0xD800) << 10) + (out[static_cast<size_t>(++i)] - 0xDC00);
    append_utf8(folded, c);
  }
  return folded;
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

using Breaks = std::unique_ptr<UBreakIterator, decltype(&ubrk_close)>;

// One for each thread: making it reads rules.
UBreakIterator* breaks() {
  static thread_local const Breaks kBreaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    Breaks made(ubrk_open(UBRK_WORD, "", nullptr, 0, &status), &ubrk_close);
    check(status);
    return made;
  }();
  return kBreaks.get();
}

}  // namespace

void for_each_word(std::string_view text, const std::function<void(const std::string&)>& on_word) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UText, decltype(&utext_close)> bytes(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status),
      &utext_close);
  check(status);
  UBreakIterator* iterator = breaks();
  ubrk_setUText(iterator, bytes.get(), &status);
  check(status);
  Words words(on_word);
  int32_t begin = ubrk_first(iterator);
  for (int32_t end = ubrk_next(iterator); end != UBRK_DONE; end = ubrk_next(iterator)) {
    if (ubrk_getRuleStatus(iterator) >= UBRK_WORD_NONE_LIMIT)
      words.take(text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)), begin);
    begin = end;
  }
}

}  // namespace lathe
