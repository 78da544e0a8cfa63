// The parts of a tokenizer that a SentencePiece model file describes.
#pragma once

#include <memory>
#include <string_view>

#include "lathe/text/format/sentencepiece_file.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/normalize/sentencepiece_normalizer.h"

namespace lathe {

// Throws kFormat, naming `origin`, for a damaged character map. With byte fallback, bytes that are
// not UTF-8 are kept.
SentencePieceNormalization normalization_of(const SentencePieceFile& file, std::string_view origin);

// The pieces that a text may match are ordinary tokens of the vocabulary, all others literal ones.
Vocabulary vocabulary_of(const SentencePieceFile& file, std::string_view origin);

// Throws kUsage unless the file holds a Unigram model, kFormat as UnigramModel does.
std::unique_ptr<UnigramModel> unigram_model_of(const SentencePieceFile& file,
                                               std::string_view origin);

}  // namespace lathe
