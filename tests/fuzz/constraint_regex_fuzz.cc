#include "constraint/constraint_fuzz.h"
#include "lathe/constraint/regex_grammar.h"

namespace lathe::fuzz {

// Up to the first NUL the expression, behind it a text.
void check(std::string_view bytes) {
  const auto [source, text] = at_nul(bytes);
  use(constraint::regex_grammar(source), text);
}

std::vector<Seed> seeds() {
  return {{"parts", std::string("^(?:a|[^b-d\\d\\s]|\\u00e9|\\x41)+?(?<n>x{3,9}|y{12,400})?.$") +
                        '\0' + "aaxxx"},
          {"nested", std::string("((a*)*(b|c?){3}){2,}") + '\0' + "abcabc"}};
}

}  // namespace lathe::fuzz
