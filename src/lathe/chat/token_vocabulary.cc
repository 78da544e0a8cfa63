#include "lathe/chat/token_vocabulary.h"

namespace lathe {

std::shared_ptr<const TokenVocabulary> token_vocabulary(const Tokenizer& tokenizer,
                                                        std::vector<int32_t> ends) {
  std::vector<std::string> tokens(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    if (tokenizer.has(token) && !tokenizer.is_special(token))
      tokens[id] = tokenizer.token_bytes(token);
  }
  return std::make_shared<const TokenVocabulary>(std::move(tokens), std::move(ends));
}

}  // namespace lathe
