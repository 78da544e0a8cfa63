// Text to token ids and back.
//
// A Tokenizer is what a `tokenizer.json`, a SentencePiece `.model`, a `.tiktoken` file of ranks, a
// vocab.txt of BERT or the vocabulary of a GGUF file describes:
//
//   text ─ added tokens cut out ─ normalised ─ pre-tokenised ─ each piece encoded by a model ─ ids
//
// The model is byte-pair encoding on bytes or on characters, Unigram, WordPiece or WordLevel. The
// ids equal those of `tokenizers`, of `sentencepiece` for a `.model`, and of llama.cpp for GGUF.
// Bytes that are not UTF-8 keep their value where the vocabulary has tokens for bytes, so
// decode(encode(bytes)) == bytes unless a normaliser changes the text. Const member functions are thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/text/added_tokens.h"
#include "lathe/text/decode/decoder.h"
#include "lathe/text/model/token_model.h"
#include "lathe/text/split/patterns.h"

namespace lathe {

struct EncodeOptions {
  bool special_as_text = false;  // "<|endoftext|>" in the text is thirteen characters, not a token
  bool add_special_tokens = false;  // what the post-processor puts around a text (BOS, EOS)
  // Called by the thread that encodes, about every 256 KiB, with the bytes of the text that are
  // done (about: a normaliser changes them). May throw, which ends the encoding.
  std::function<void(size_t)> progress = {};
};

struct DecodeOptions {
  bool skip_special = false;
};

// What tokenizer_config.json says beside the tokenizer itself. Empty and 0 leave a key out; a token
// must be one of the added tokens.
struct TokenizerConfig {
  std::string bos, eos, pad, unk;
  int64_t model_max_length = 0;
};

struct TokenizerData;
class SentencePieceDecoder;
class TokenTexts;

// Encodes one text after the other on one thread, remembering the words it has seen. The Tokenizer
// must outlive it.
class Encoder {
 public:
  class Impl;
  explicit Encoder(const TokenizerData& data);
  Encoder(Encoder&&) noexcept;
  ~Encoder();
  // Appends the ids of `text`. Throws kData for a byte the vocabulary has no token for.
  void encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& out);

 private:
  std::unique_ptr<Impl> impl_;
};

class Tokenizer {
 public:
  // `origin` names the source in messages. Throws kFormat for damaged content and for components
  // that are not known, saying which are.
  static Tokenizer from_json(std::string_view json, std::string_view origin);
  // Lines of `base64-of-token rank`. A pair may merge when its bytes are a token; its rank is that
  // token's. Special tokens get the ids behind the highest rank.
  static Tokenizer from_tiktoken(std::string_view ranks, std::string_view origin, Pattern pattern,
                                 std::span<const std::string> special_tokens = {});

  // Whether a file begins as from_tiktoken() reads it.
  static bool has_tiktoken_ranks(std::string_view content);

  explicit Tokenizer(std::unique_ptr<const TokenizerData> data);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoder encoder() const;

  // Other segmentations than encode()'s. Each throws kUsage, saying what is needed, where the model
  // has none.
  using Segmentation = TokenModel::Segmentation;
  // The n best of the whole text, best first; fewer where there are fewer (Unigram).
  std::vector<Segmentation> nbest(std::string_view text, int64_t n,
                                  const EncodeOptions& options = {}) const;
  // A stretch of the normalised text that is segmented apart from its neighbours, and every piece
  // that a segmentation of it may have (Unigram). Added tokens are left out.
  struct Lattice {
    std::string text;
    std::vector<TokenModel::LatticePiece> pieces;
  };
  std::vector<Lattice> lattice(std::string_view text, const EncodeOptions& options = {}) const;
  // One drawn with probability proportional to exp(alpha · score) (Unigram; Kudo 2018,
  // arXiv:1804.10959).
  std::vector<int32_t> sample(std::string_view text, double alpha, const Rng& rng,
                              const EncodeOptions& options = {}) const;
  // A merge that could be made is passed over with this probability, each time anew (BPE; Provilkov
  // et al. 2020, arXiv:1910.13267): 0 is encode(), 1 leaves the smallest tokens.
  std::vector<int32_t> encode_with_dropout(std::string_view text, double dropout, const Rng& rng,
                                           const EncodeOptions& options = {}) const;

  // The bytes of the ids. Throws kData for an id that is not in the vocabulary.
  std::string decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;

  // One more than the highest id: what a model's embedding must hold.
  int64_t vocab_size() const;
  bool has(int64_t id) const;
  // Throws kData, saying what may be wrong, unless has(id).
  void require_token(int32_t id) const;
  // The bytes that a token stands for in the middle of a text; kData for an unknown id.
  std::string token_bytes(int32_t id) const;
  bool is_special(int32_t id) const;
  // The number of bytes that each id stands for, 0 for special tokens and for ids without a token:
  // what bits per byte are counted with. [vocab_size].
  std::vector<int32_t> byte_lengths() const;
  // Of an added token's text or an ordinary token's bytes.
  std::optional<int32_t> id_of(std::string_view token) const;
  const std::vector<AddedToken>& added_tokens() const;
  // What add_special_tokens puts before and behind a text.
  std::span<const int32_t> prefix_ids() const;
  std::span<const int32_t> suffix_ids() const;
  // "BPE", "Unigram", "WordPiece" or "WordLevel".
  std::string model_type() const;
  int64_t merge_count() const;
  // Name of the catalogue's pattern when that is all the pre-tokeniser is; "custom" otherwise.
  std::string pattern_name() const;

  // A tokenizer.json that `tokenizers` and `transformers` read, with the same ids. Deterministic.
  std::string to_json() const;
  // The tokenizer_config.json beside it, for transformers' PreTrainedTokenizerFast.
  std::string config_json(const TokenizerConfig& config) const;

  const TokenizerData& data() const { return *data_; }

 private:
  struct Pool;
  std::unique_ptr<const TokenizerData> data_;
  std::unique_ptr<Pool> pool_;  // idle encoders, guarded by a mutex
};

// Decodes a stream of ids: each hands on the text that is certain from then on.
class TextDecoder {
 public:
  explicit TextDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {});
  TextDecoder(TextDecoder&&) noexcept;
  ~TextDecoder();
  // Appends the text. Throws kData for an id that is not in the vocabulary.
  void push(int32_t id, std::string& out);
  // Appends what was held back. The decoder is as new afterwards.
  void finish(std::string& out);

 private:
  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  const TokenTexts& texts_;
  std::optional<Decoder::Stream> stream_;  // one of the two, unless tokens are only joined
  std::unique_ptr<SentencePieceDecoder> sentencepiece_;
  bool steady_ = false;  // tokens are what they stand for in the middle of a text
};

// The same, never handing out half a character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {})
      : decoder_(tokenizer, options) {}
  // The text that `id` makes certain; empty while a character is unfinished.
  std::string push(int32_t id);
  // What is held back, however incomplete. The decoder is as new afterwards.
  std::string finish();

 private:
  TextDecoder decoder_;
  std::string held_;
};

// Reads a tokenizer.json, a SentencePiece model, a file of tiktoken's ranks (`pattern`, default
// cl100k, applies to that kind only; with the added tokens of the file beside it, if there is one),
// BERT's vocab.txt, a GGUF file, or a folder with one of them; of several, tokenizer.json. In a
// folder the added tokens of tokenizer_config.json belong to the other kinds, too. A file is known by
// its content, whatever its name. Throws kIo when it cannot be read, kFormat as above,
// kUsage for a pattern beside another kind.
Tokenizer load_tokenizer(const std::string& path, std::optional<Pattern> pattern = std::nullopt);

// Whether a folder has a file that load_tokenizer() would read.
bool has_tokenizer(const std::string& folder);

}  // namespace lathe
