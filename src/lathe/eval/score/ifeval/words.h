// Words and sentences of a text, as IFEval's authors count them with NLTK. All functions are pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace lathe {

// Runs of letters, digits and underscores.
int64_t count_words(std::string_view text);

// Words by the Penn Treebank's conventions that have capital letters and no small ones: CAN'T is CA and N'T, AT&T is
// AT and T, STATE-OF-THE-ART is one. As NLTK 3.10 cuts them; texts are not cut into sentences first, which would move no letter.
int64_t count_capital_words(std::string_view text);

// Stretches that end with . ? or ! before white space, or with the text. A point behind an initial, a number's or one of
// some usual abbreviations does not end one, unless a usual first word with a capital letter follows. The authors use
// NLTK's Punkt for that (Kiss and Strunk 2006), whose abbreviations are learned: on texts with many of those the counts
// differ.
int64_t count_sentences(std::string_view text);

}  // namespace lathe
