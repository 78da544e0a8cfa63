#include "lathe/chat/token_vocabulary.h"

namespace lathe {
namespace {

// The tokens of bytes in the middle of a text; others than these bytes if there are none. Some
// tokenizers put a space before a text: behind a line break it is not part of it.
std::vector<int32_t> encode_within(const Tokenizer& tokenizer, std::string_view bytes) {
  const std::vector<int32_t> ids =
      tokenizer.encode("\n" + std::string(bytes), {.special_as_text = true});
  size_t length = 0, first = ids.size();
  while (first > 0 && length < bytes.size()) length += tokenizer.token_bytes(ids[--first]).size();
  return {ids.begin() + static_cast<int64_t>(first), ids.end()};
}

}  // namespace

std::shared_ptr<const TokenVocabulary> token_vocabulary(const Tokenizer& tokenizer,
                                                        std::vector<int32_t> ends) {
  std::vector<std::string> tokens(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    if (tokenizer.has(token) && !tokenizer.is_special(token))
      tokens[id] = tokenizer.token_bytes(token);
  }
  return std::make_shared<const TokenVocabulary>(
      std::move(tokens), std::move(ends),
      [&tokenizer](std::string_view bytes) { return encode_within(tokenizer, bytes); });
}

}  // namespace lathe
