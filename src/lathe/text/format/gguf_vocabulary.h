// The tokenizer in a GGUF file: the keys `tokenizer.*`, as they stand there.
//
// What llama.cpp makes of them, and hence what a Tokenizer built from them has to do:
//
//   all     Control, unknown and user-defined tokens are looked for in the text first, longest
//           first over the whole text; with parse_special=false only user-defined ones. The rest
//           goes through the model stretch by stretch.
//   gpt2    Byte-level BPE: `pre` names the pre-tokeniser (gguf_pre_tokenizers.h). Of a merge
//           listed twice the first counts. No unknown token.
//   llama   SentencePiece's BPE. A space is put before a stretch that begins the text or follows a
//           special token (add_space_prefix, default true); " " becomes "▁". Symbols are code
//           points; the pair whose joined text is a token of the highest score merges, the leftmost
//           of equals. Every type of token may result. A symbol that is no token becomes its bytes'
//           tokens <0xNN>. No normalisation, and spaces are not squeezed.
//   bert    WordPiece: NFD and no accent marks (normalizer.strip_accents, default as lowercase),
//           control characters dropped, lower case (normalizer.lowercase, default true), words at
//           white space, with every punctuation character, ASCII symbol and CJK ideograph a word of
//           its own; "▁" before each word, then the longest token at every place, else the word is
//           the unknown token. Tokens that continue a word have no "##".
//   t5      Unigram: user-defined tokens pass unchanged, the charsmap as in SentencePiece, spaces
//           to "▁", squeezed with remove_extra_whitespaces, one in front with add_space_prefix.
//           Viterbi over the log-probabilities in double precision, user-defined tokens at 0, an
//           unknown character at the lowest score of a normal token minus 10; the first of equal
//           ways stays; adjoining unknowns are one.
//
// Keys: docs/gguf.md of https://github.com/ggml-org/ggml; meaning: src/llama-vocab.cpp of
// https://github.com/ggml-org/llama.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/io/gguf.h"
#include "lathe/io/gguf_writer.h"

namespace lathe {

enum class GgufTokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct GgufVocabulary {
  std::string model;  // "gpt2", "llama", "bert", "t5", …
  std::string pre;    // name of the pre-tokeniser; empty where the file has none
  std::vector<std::string> tokens;
  std::vector<float> scores;         // empty or one for each token
  std::vector<GgufTokenType> types;  // empty or one for each token
  std::vector<std::string> merges;   // "left right", in order of rank

  std::optional<int32_t> bos, eos, eot, eom, unknown, separator, padding, cls, mask;
  std::optional<bool> add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces;
  std::optional<bool> lowercase, strip_accents;  // of "bert"
  std::string precompiled_charsmap;              // bytes, as in a SentencePiece model
  std::string chat_template;

  GgufTokenType type(size_t id) const { return types.empty() ? GgufTokenType::kNormal : types[id]; }
};

// Whether llama.cpp takes a token of this text for a control token whatever its type says, as it
// does with those that end an answer or stand around the parts of a fill-in-the-middle prompt.
bool looks_like_gguf_control(std::string_view token);

// Whether the token is looked for in the text before anything else is done to it.
bool is_gguf_added(const GgufVocabulary& vocabulary, size_t id);

// Throws kFormat, naming the file and the key, for keys of another type, a missing model or list of
// tokens, tokens that are not UTF-8 or there twice, lists of other lengths than the tokens, scores
// that are not finite, unknown types, ids that are no token's. A token without text becomes
// "[EMPTY_<id>]", as in llama.cpp. Where a file leaves out `bos`, `eos`, `unknown`, `separator`,
// `padding` or `mask`, models that have customary ids for them get those.
GgufVocabulary read_gguf_vocabulary(const GgufMetadata& metadata);

// Adds the keys; what is empty or unset is left out. Throws as read_gguf_vocabulary().
void write_gguf_vocabulary(const GgufVocabulary& vocabulary, GgufWriter& writer);

}  // namespace lathe
