#include "lathe/chat/token_vocabulary.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {
namespace {

// The last tokens of `ids` that are just these bytes; empty if none are.
std::vector<int32_t> tail(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                          std::string_view bytes) {
  std::string joined;
  size_t first = ids.size();
  while (first > 0 && joined.size() < bytes.size())
    joined = tokenizer.token_bytes(ids[--first]) + joined;
  if (joined != bytes) return {};
  return {ids.begin() + static_cast<int64_t>(first), ids.end()};
}

// The tokens of bytes in the middle of a text. Some tokenizers put a space before a text: behind a
// line break it is not part of it.
std::vector<int32_t> encode_within(const Tokenizer& tokenizer, std::string_view bytes) {
  for (const std::string_view before : {"", "\n"}) {
    try {
      const std::string text = std::string(before) + std::string(bytes);
      const auto ids = tail(tokenizer, tokenizer.encode(text, {.special_as_text = true}), bytes);
      if (!ids.empty()) return ids;
    } catch (const Error& e) {  // a character without a token
      if (e.kind() != ErrorKind::kData) throw;
    }
  }
  return {};
}

}  // namespace

std::shared_ptr<const TokenVocabulary> token_vocabulary(const Tokenizer& tokenizer,
                                                        std::vector<int32_t> ends,
                                                        std::vector<int32_t> marks) {
  std::erase_if(marks, [&](int32_t id) { return std::ranges::find(ends, id) != ends.end(); });
  std::vector<std::string> tokens(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    if (tokenizer.has(token) && !tokenizer.is_special(token))
      tokens[id] = tokenizer.token_bytes(token);
  }
  return std::make_shared<const TokenVocabulary>(
      std::move(tokens), std::move(ends),
      [&tokenizer](std::string_view bytes) { return encode_within(tokenizer, bytes); }, marks);
}

}  // namespace lathe
