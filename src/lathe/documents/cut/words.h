// Words of a text, as an index of words has them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lathe {

// Calls on_word for each in order: letters and digits between the breaks of Unicode (UAX #29, by ICU), in lower case and
// compatibility form (NFKC_Casefold); what is written without blanks in Han, Hiragana or Katakana as single characters
// and as pairs of neighbours. Words of more than 64 bytes are cut to that. Throws kData if ICU lacks its rules.
void for_each_word(std::string_view text, const std::function<void(const std::string&)>& on_word);

}  // namespace lathe
