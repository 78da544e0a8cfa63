#include "constraint/constraint_fuzz.h"
#include "lathe/constraint/gbnf.h"

namespace lathe::fuzz {

// Up to the first NUL the grammar, behind it a text.
void check(std::string_view bytes) {
  const auto [source, text] = at_nul(bytes);
  use(constraint::gbnf_grammar(source), text);
}

std::vector<Seed> seeds() {
  return {
      {"sums", std::string("root ::= term ([-+] term)*\nterm ::= [0-9]+ | \"(\" root \")\"") +
                   '\0' + "1+(2-3)"},
      {"repeats",
       std::string(
           "root ::= a{2,9} b{,3} c? # x\na ::= \"\\x41\" |\n \"y\"\nb ::= [^\\]a-z]+\nc ::= . (a b)*") +
           '\0' + "AyB"},
      {"empty", std::string("root ::= (a | b*)* \"x\"\na ::= \"\" | \"y\"\nb ::= (\"\"){3,900} a") +
                    '\0' + "yyx"}};
}

}  // namespace lathe::fuzz
