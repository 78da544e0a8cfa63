// A tokenizer in the words of a SentencePiece model file. Internal to text/ and cli/.
#pragma once

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// The file that the tokenizer was read from; or one that gives the same ids, for a tokenizer.json
// that holds BPE on characters or Unigram as Lathe and `transformers` convert SentencePiece's models:
//
//   normaliser       a character map, white space stripped and squeezed, "▁" put first, "▁" for
//                    spaces, each of them or not; or a character map that makes all white space
//                    spaces, before WhitespaceSplit and Metaspace
//   merges           all ways to make a piece, those of one piece side by side: as scores give them
//   special tokens   "<s>", "</s>" and "<pad>" become control symbols, which are not found in a text
//                    any more, all others user-defined ones
//
// Throws kFormat for what a model file cannot say, naming it. Scores of a Unigram model are added in
// float32 afterwards, which may decide otherwise between segmentations that are nearly as good.
SentencePieceFile sentencepiece_file_of(const Tokenizer& tokenizer);

}  // namespace lathe
