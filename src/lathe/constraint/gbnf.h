// Grammars in GBNF, llama.cpp's form of BNF:
//
//   root  ::= "yes" | "no" ws number   # the rule `root` is the whole text
//   ws    ::= [ \t\n]*
//   number ::= [0-9]+ ("." [0-9]{1,3})?
//
// Texts in double quotes, classes of characters, `.` for any character, groups, the repeats
// * + ? {m} {m,} {m,n}, alternatives, comments behind #. Escapes: \n \r \t \\ \" \[ \] \xNN \uNNNN
// \UNNNNNNNN. A rule ends with its line, unless the line ends within brackets or behind `|` or `::=`.
//
// Format: grammars/README.md of https://github.com/ggml-org/llama.cpp. Its tokens in angle brackets are refused.
#pragma once

#include <string_view>

#include "lathe/constraint/grammar.h"

namespace lathe::constraint {

// Throws kConfig, naming line and column.
Grammar gbnf_grammar(std::string_view text);

}  // namespace lathe::constraint
