// A trained vocabulary becomes a tokenizer.
#pragma once

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/vocabulary_trainer.h"

namespace lathe {

// `parts` as those of a tokenizer.json. With vocabularies of bytes they are set here.
Tokenizer trained_tokenizer(TrainedVocabulary trained, TokenizerParts parts);

// The same as a SentencePiece model, for vocabularies of Unigram and of BPE. `name` is the
// normaliser's; its other fields are SentencePiece's defaults.
SentencePieceFile trained_sentencepiece(const TrainedVocabulary& trained, const std::string& name,
                                        const CharsMap& charsmap);

}  // namespace lathe
