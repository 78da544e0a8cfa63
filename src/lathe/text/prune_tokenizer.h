// A tokenizer with the pieces that a corpus uses, and no others.
//
// The ids of the corpus stay the same but for their numbers. What merging never did there may go
// without changing what it does: in each step the merge of lowest rank is one that was made, so it
// is still there. Of a Unigram model the best segmentation stays the best when others go; the piece
// with the lowest score stays as well, because the score of unknown characters derives from it.
#pragma once

#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

// The file beside a pruned tokenizer.json with PrunedTokenizer::old_ids as a list.
inline constexpr const char* kIdMapFile = "id_map.json";

struct PruneOptions {
  // Keep the tokens of all single bytes, so that every text can still be encoded.
  bool keep_bytes = true;
};

struct PrunedTokenizer {
  Tokenizer tokenizer;           // what its tokenizer.json says
  std::vector<int32_t> old_ids;  // by new id; ascending
};

// Keeps the ids in `used` (by id, [old.vocab_size()]), the tokens that merging makes on the way to
// them, added tokens, the unknown token and what the post-processor adds. Throws kUsage for a model
// that cannot be pruned, saying which can.
PrunedTokenizer prune_tokenizer(const Tokenizer& old, const std::vector<bool>& used,
                                const PruneOptions& options = {});

}  // namespace lathe
