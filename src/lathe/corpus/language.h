// Which language a text is in, as far as its script and its most frequent words say: enough to count a data
// set, not to route a user.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// An ISO 639-1 code: of scripts that one large language has (ja, zh, ko, th, el, he …) by the script, of Latin
// and Cyrillic by counting function words (en, de, fr, es, it, pt, nl, pl, tr, vi, id; ru, uk). "Latin",
// "Cyrillic" or "Arabic" where those decide nothing, as in a short text; "none" for a text with fewer letters
// than other visible characters, such as code or numbers.
std::string language_of(std::string_view text);

}  // namespace lathe
