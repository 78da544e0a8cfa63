// What the tokens of a changed tokenizer are made of, in tokens of the one that it was made from:
// with that, a model's rows can follow (lathe convert --tokenizer).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lathe/text/tokenizer.h"

namespace lathe {

// For each id of the new tokenizer the ids that the old one has for the same text: one for a token
// that both have, several for a piece that the old one cuts. None for a new special token, whose
// text says nothing of its meaning; for a piece with nothing in it that the old one knows; and for an
// id without a token.
using SourcesByToken = std::vector<std::vector<int32_t>>;

// Of an extended tokenizer, where each old token has kept its id; a reserved one may have become
// another. Throws kConfig otherwise, naming
// the first one that has not.
SourcesByToken sources_of_extended(const Tokenizer& old, const Tokenizer& extended);

// Of a pruned tokenizer; `old_ids` are what its id_map.json says, the old id of each of its own.
// Throws kConfig unless they are as many as it has tokens, ascend, and are the same tokens in `old`.
SourcesByToken sources_of_pruned(const Tokenizer& old, const Tokenizer& pruned,
                                 std::span<const int32_t> old_ids);

}  // namespace lathe
