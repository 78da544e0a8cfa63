#include "lathe/documents/cut/text_breaks.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <memory>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using Breaks = std::unique_ptr<UBreakIterator, decltype(&ubrk_close)>;

void check(UErrorCode status) {
  require(U_SUCCESS(status), ErrorKind::kData, "documents", "ICU says {}; is its data installed?",
          u_errorName(status));
}

Breaks made(UBreakIteratorType type, const char* locale) {
  UErrorCode status = U_ZERO_ERROR;
  Breaks breaks(ubrk_open(type, locale, nullptr, 0, &status), &ubrk_close);
  check(status);
  return breaks;
}

// One for each thread: making it reads rules. "ss": no break behind the abbreviations that ICU knows.
UBreakIterator* breaks_of(BreakKind kind) {
  static thread_local const Breaks kWords = made(UBRK_WORD, "");
  static thread_local const Breaks kSentences = made(UBRK_SENTENCE, "en@ss=standard");
  return (kind == BreakKind::kWords ? kWords : kSentences).get();
}

}  // namespace

void for_each_part(std::string_view text, BreakKind kind,
                   const std::function<void(int64_t begin, int64_t end, bool letters)>& on_part) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UText, decltype(&utext_close)> bytes(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status),
      &utext_close);
  check(status);
  UBreakIterator* breaks = breaks_of(kind);
  ubrk_setUText(breaks, bytes.get(), &status);
  check(status);
  int32_t begin = ubrk_first(breaks);
  for (int32_t end = ubrk_next(breaks); end != UBRK_DONE; end = ubrk_next(breaks)) {
    on_part(begin, end, ubrk_getRuleStatus(breaks) >= UBRK_WORD_NONE_LIMIT);
    begin = end;
  }
}

}  // namespace lathe
