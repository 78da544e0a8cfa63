// More pieces for a tokenizer, learned from new text; everything it has stays as it is.
//
// The words of the new text are encoded by the old tokenizer, and of what it makes of them the most
// frequent pairs are merged (Sennrich et al. 2016, arXiv:1508.07909). The new merges rank after all
// old ones. So a text is first cut as before, and then some neighbours are joined: text without a new
// piece keeps its ids, and none gets longer, unless characters that were one unknown token together
// become known.
//
// A model over characters first needs a piece for a character before it can merge it. A new
// character saves what it took before (with byte fallback its bytes) less one token each time, a
// merge saves one; the pieces are those that save most, and a merge never saves more than the
// characters in it.
//
// Of a Unigram model a new character scores as it did when it was unknown, and a joined piece the
// sum of its parts and 2^-20: so the best segmentation is the old one, joined where it can be, unless
// two old ones were as good as equal.
//
// A SentencePiece model becomes a tokenizer.json first. Its merges then have ranks in the order of
// scores, pieces of the same score in the order of ids, as `transformers` converts them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lathe/text/tokenizer.h"
#include "lathe/text/train/train_options.h"

namespace lathe {

struct ExtendOptions {
  int64_t add = 0;  // new pieces
  int64_t memory_bytes = int64_t{2} << 30;
};

struct ExtendedTokenizer {
  Tokenizer tokenizer;  // what its tokenizer.json says
  TrainStats stats;
  int64_t characters = 0;  // how many of the new pieces are single characters; the rest are merges
};

// The ids of the new pieces begin at old.vocab_size(): first characters, then merges in order of
// rank. A piece is never spelled as another token is. Deterministic.
// Throws kUsage for a model that cannot be extended, saying which can; kConfig for options that
// cannot work (both before it reads); kData for texts that do not have as many new pieces.
ExtendedTokenizer extend_tokenizer(const Tokenizer& old, const CorpusFeed& feed,
                                   const ExtendOptions& options,
                                   const TrainProgress& progress = {});

// Given pieces instead of learned ones: each is a token that merging reaches from the tokens that it was
// before, so text around it is cut as before. Where it was more than two, the merges on the way there make
// further tokens. A text of old tokens may become shorter, and decodes to the same bytes.
struct TokenizerWithPieces {
  Tokenizer tokenizer;       // what its tokenizer.json says
  std::vector<int32_t> ids;  // of the pieces, in the order asked for
  int64_t steps = 0;         // tokens on the way to them, which nobody asked for
};

// Deterministic. Throws kUsage unless the model is byte-level BPE; kConfig, naming the piece, for one that
// is empty, not UTF-8, listed twice or a token already, and for one that merging does not reach: because a
// pre-tokeniser cuts it, or a normaliser changes it.
TokenizerWithPieces add_pieces(const Tokenizer& old, std::span<const std::string> pieces);

}  // namespace lathe
