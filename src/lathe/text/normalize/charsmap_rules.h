// Where the rules of character maps come from: the maps that SentencePiece knows by name, and files
// of rules.
#pragma once

#include <optional>
#include <string_view>

#include "lathe/text/normalize/charsmap.h"

namespace lathe {

// The rules named
//
//     identity      none
//     nfkc          every character to its NFKC form, and every string of characters that composes
//     nmt_nfkc      nfkc; white space of all kinds to U+0020, control characters to nothing; the
//                   fullwidth tilde stays
//     nfkc_cf, nmt_nfkc_cf   and to lower case by Unicode's simple case folding
//
// computed with ICU (Unicode 15); nothing for another name. Takes about a second.
std::optional<CharsMap::Rules> named_charsmap_rules(std::string_view name);

// Reads SentencePiece's files of rules: lines of `from TAB to TAB comment`, code points in
// hexadecimal (with or without U+) with blanks between them; without `to`, `from` is removed.
// Throws kFormat, naming `origin` and the line.
CharsMap::Rules read_charsmap_rules(std::string_view tsv, std::string_view origin);

}  // namespace lathe
