#include "lathe/documents/cut/sentences.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <memory>

#include "lathe/base/error.h"

namespace lathe {
namespace {

void check(UErrorCode status) {
  require(U_SUCCESS(status), ErrorKind::kData, "sentences", "ICU says {}; is its data installed?",
          u_errorName(status));
}

using Breaks = std::unique_ptr<UBreakIterator, decltype(&ubrk_close)>;

// One for each thread: making it reads rules.
UBreakIterator* breaks() {
  static thread_local const Breaks kBreaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    Breaks made(ubrk_open(UBRK_SENTENCE, "en@ss=standard", nullptr, 0, &status), &ubrk_close);
    check(status);
    return made;
  }();
  return kBreaks.get();
}

// Abbreviations behind which names or numbers stand, which ICU's list does not have.
bool ends_with_abbreviation(std::string_view text) {
  constexpr std::string_view kAbbreviations[] = {"Dr.", "St.",  "Jr.", "Sr.", "Fig.",
                                                 "Eq.", "Sec.", "No.", "cf.", "al."};
  while (text.ends_with(' ')) text.remove_suffix(1);
  for (const std::string_view one : kAbbreviations) {
    if (!text.ends_with(one)) continue;
    const std::string_view before = text.substr(0, text.size() - one.size());
    if (before.empty() || before.ends_with(' ') || before.ends_with('(')) return true;
  }
  return false;
}

}  // namespace

std::vector<int64_t> sentence_ends(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UText, decltype(&utext_close)> bytes(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status),
      &utext_close);
  check(status);
  UBreakIterator* iterator = breaks();
  ubrk_setUText(iterator, bytes.get(), &status);
  check(status);
  std::vector<int64_t> ends;
  ubrk_first(iterator);
  for (int32_t end = ubrk_next(iterator); end != UBRK_DONE; end = ubrk_next(iterator))
    if (end == std::ssize(text) ||
        !ends_with_abbreviation(text.substr(0, static_cast<size_t>(end))))
      ends.push_back(end);
  return ends;
}

}  // namespace lathe
