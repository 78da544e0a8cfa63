// Parts of a tokenizer.json that several readers and the trainers put together. Internal to text/
// and corpus/.
#pragma once

#include <optional>
#include <string_view>

#include "lathe/text/format/json_fields.h"

namespace lathe {

enum class ReplaceBy { kString, kRegex };
// As a normaliser or, of kString, as a decoder.
text_json::Json replace_json(ReplaceBy kind, std::string_view pattern, std::string_view content);

// Words that begin with kSpaceMark; `prepend_scheme` is "always", "first" or "never". As a
// pre-tokeniser or as a decoder.
text_json::Json metaspace_json(std::string_view prepend_scheme);

// The decoder of text in which kSpaceMark stands for a space: with the tokens of bytes, and without
// the space that was put before the text.
text_json::Json mark_decoder_json(bool byte_fallback, bool space_first);

// BERT's. Without `strip_accents` they are stripped where text is lower-cased.
text_json::Json bert_normalizer_json(bool lowercase, std::optional<bool> strip_accents = {});

}  // namespace lathe
