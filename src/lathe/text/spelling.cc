#include "lathe/text/spelling.h"

#include "lathe/text/byte_alphabet.h"

namespace lathe {

VocabularyEntry entry_spelled(std::string_view text, int32_t id, TokenSpelling spelling) {
  if (spelling == TokenSpelling::kPlain) return {id, std::string(text), false};
  auto bytes = from_byte_alphabet(text);
  const bool literal = !bytes.has_value();
  return {id, literal ? std::string(text) : std::move(*bytes), literal};
}

std::optional<int32_t> find_spelled(const Vocabulary& vocabulary, std::string_view text,
                                    TokenSpelling spelling) {
  const VocabularyEntry entry = entry_spelled(text, 0, spelling);
  return entry.literal ? vocabulary.find_literal(entry.bytes) : vocabulary.find(entry.bytes);
}

std::string spelling_of(const Vocabulary& vocabulary, int32_t id, TokenSpelling spelling) {
  const std::string_view bytes = vocabulary.bytes(id);
  const bool as_it_is = spelling == TokenSpelling::kPlain || vocabulary.is_literal(id);
  return as_it_is ? std::string(bytes) : to_byte_alphabet(bytes);
}

}  // namespace lathe
