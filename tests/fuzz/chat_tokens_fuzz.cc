#include "fuzz/fuzz.h"
#include "lathe/text/chat_tokens.h"
#include "text/sample_json.h"

namespace lathe::fuzz {

// What a template writes is found in a text as the tokens that were added for it.
void check(std::string_view bytes) {
  const std::vector<TokenToAdd> tokens = tokens_of_template(bytes);
  const Tokenizer old = Tokenizer::from_json(testing::sample_json({}), "f");
  const TokenizerWithTokens made = add_tokens(old, tokens, 1);
  for (const AddedToken& token : made.added)
    promise(made.tokenizer.encode(token.content) == std::vector<int32_t>{token.id});
  promise(made.added.size() + made.present.size() == tokens.size());
}

std::vector<Seed> seeds() {
  return {
      {"chat", "{% for m in messages %}{{ '<|im_start|>' + m.role }}<think></think>{% endfor %}"},
      {"marks", "[INST] <<SYS>> \uFF5C <\uFF5CUser\uFF5C>{# c #}{{ \"<|x|>\\\"\" }}[/INST]"}};
}

}  // namespace lathe::fuzz
