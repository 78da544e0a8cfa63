// How a tokenizer.json spells tokens: as they are, or, behind a ByteLevel pre-tokeniser, with a
// printable character for each byte (byte_alphabet.h). Internal to text/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lathe/text/vocabulary.h"

namespace lathe {

enum class TokenSpelling { kPlain, kByteAlphabet };

// The token that `text` spells.
VocabularyEntry entry_spelled(std::string_view text, int32_t id, TokenSpelling spelling);
std::optional<int32_t> find_spelled(const Vocabulary& vocabulary, std::string_view text,
                                    TokenSpelling spelling);
// Requires vocabulary.has(id).
std::string spelling_of(const Vocabulary& vocabulary, int32_t id, TokenSpelling spelling);

}  // namespace lathe
