#include "lathe/documents/cut/sentences.h"

#include "lathe/documents/cut/text_breaks.h"

namespace lathe {
namespace {

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
  std::vector<int64_t> ends;
  for_each_part(text, BreakKind::kSentences, [&](int64_t, int64_t end, bool) {
    const std::string_view before = text.substr(0, static_cast<size_t>(end));
    if (before.size() == text.size() || !ends_with_abbreviation(before)) ends.push_back(end);
  });
  return ends;
}

}  // namespace lathe
