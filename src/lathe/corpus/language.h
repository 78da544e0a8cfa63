// Which language a text is in, as far as its script and its most frequent words say: enough to count a data
// set, not to route a user. All functions are pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// An ISO 639-1 code: of scripts that one large language has (ja, zh, ko, th, el, he, ta, te, kn, gu, pa …) by the
// script, of Latin, Cyrillic, Arabic and Devanagari by counting function words (en, de, fr, es, it, pt, nl, pl, tr, vi,
// id, fi, sw; ru, uk, bg; ar, fa, ur; hi, mr, ne). "Latin", "Cyrillic", "Arabic" or "Devanagari" where those decide
// nothing, as in a short text; "none" for a text with fewer letters than other visible characters, such as code or
// numbers.
std::string language_of(std::string_view text);

// The codes that it gives.
std::vector<std::string> known_languages();

// Whether a text may be in this one of them: most of its letters are in the language's script, and no other language of
// that script has more function words there. So may a text without letters be, and a short one in several.
bool may_be_in(std::string_view text, std::string_view language);

}  // namespace lathe
