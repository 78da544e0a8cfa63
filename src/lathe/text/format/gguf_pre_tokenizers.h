// The pre-tokenisers that GGUF files name by `tokenizer.ggml.pre`, as pre_tokenizer of a
// tokenizer.json.
//
// Every entry is a list of regular expressions. The first cuts the text at its matches (each match
// and each gap is a piece), the next cuts the pieces of the one before, and so on. Where llama.cpp
// approximates what the models were trained with, these are the originals, and the ids may differ
// from its own: letters by case, marks and the digits that its regex engine cannot tell apart
// (gpt-4o and the other names with its words, tekken, youtu, kimi-k2), digits in threes (tiny_aya,
// afmoe), the ideographic space (deepseek-llm). All other names cut alike on the texts compared.
//
// Names and what follows from them: src/llama-vocab.cpp of https://github.com/ggml-org/llama.cpp.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/text/format/json_fields.h"

namespace lathe {

struct GgufPreTokenizer {
  std::string_view name = {};
  std::vector<std::string_view> regexes = {};
  // A piece that is a token is that token, whatever merging gives.
  bool ignore_merges = false;
  // Whether BOS is put before a text where the file does not say.
  bool add_bos = false;
  // Whether decoding a text drops the space before some punctuation (clean_up_tokenization_spaces).
  bool clean_spaces = true;
  // Whether the vocabulary is written in the byte alphabet. Otherwise it is BPE on UTF-8 as
  // SentencePiece has it: spaces are "▁" and unknown characters become <0xNN>.
  bool byte_level = true;
};

// Every name that llama.cpp knows for models of the kinds "gpt2" and "gemma4".
const std::vector<GgufPreTokenizer>& gguf_pre_tokenizers();

// kFormat, naming `origin`, the name and the known ones, for an unknown name. No name means
// "default".
const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name, std::string_view origin);

// As `pre_tokenizer` of a tokenizer.json; one of the catalogue's patterns where it is one.
text_json::Json json_of(const GgufPreTokenizer& pre_tokenizer);

// The name of the first entry that cuts as this `pre_tokenizer` of a tokenizer.json does; nullopt when
// there is none.
std::optional<std::string_view> gguf_pre_tokenizer_name(const text_json::Json& pre_tokenizer,
                                                        bool ignore_merges);

// The name of the entry that cuts every digit apart first and then as the entry `name` does; nullopt
// when there is none.
std::optional<std::string_view> gguf_pre_tokenizer_with_lone_digits(std::string_view name);

}  // namespace lathe
