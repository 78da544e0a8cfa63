// The makers that the catalogue of pre-tokenisers lists, one file each or one for a small family.
// Internal to split/.
#pragma once

#include "lathe/text/split/pretokenizer.h"

namespace lathe {

void make_byte_level(const text_json::Json& json, const PreTokenizerSteps& to);
void make_metaspace(const text_json::Json& json, const PreTokenizerSteps& to);
void make_split(const text_json::Json& json, const PreTokenizerSteps& to);
void make_digits(const text_json::Json& json, const PreTokenizerSteps& to);
void make_punctuation(const text_json::Json& json, const PreTokenizerSteps& to);
void make_whitespace(const text_json::Json& json, const PreTokenizerSteps& to);
void make_whitespace_split(const text_json::Json& json, const PreTokenizerSteps& to);
void make_bert(const text_json::Json& json, const PreTokenizerSteps& to);
void make_unicode_scripts(const text_json::Json& json, const PreTokenizerSteps& to);
void make_char_delimiter_split(const text_json::Json& json, const PreTokenizerSteps& to);
void make_fixed_length(const text_json::Json& json, const PreTokenizerSteps& to);

}  // namespace lathe
