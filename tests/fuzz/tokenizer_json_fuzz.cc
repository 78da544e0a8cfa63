#include "fuzz/fuzz.h"
#include "lathe/text/tokenizer.h"

namespace lathe::fuzz {

// What is accepted encodes and decodes, and what it writes is read again with the same ids.
void check(std::string_view bytes) {
  const Tokenizer tokenizer = Tokenizer::from_json(bytes, "f");
  constexpr std::string_view kText =
      "The river's 42 boats\n\n  \xE6\xB2\xB3\xF0\x9F\x9A\xA2\xFF<s>";
  const auto ids = tokenizer.encode(kText, {.add_special_tokens = true});
  tokenizer.decode(ids, {.skip_special = true});
  const Tokenizer again = Tokenizer::from_json(tokenizer.to_json(), "again");
  if (again.encode(kText, {.add_special_tokens = true}) != ids) __builtin_trap();
}

}  // namespace lathe::fuzz
