// Encoding pre-tokens with a UnigramModel, on one thread. Internal to text/model/.
#pragma once

#include <memory>

#include "lathe/text/model/unigram_model.h"

namespace lathe {

// As UnigramModel::encoder.
std::unique_ptr<TextEncoder> unigram_encoder(const UnigramModel& model,
                                             const PreTokenizer& pre_tokenizer);

}  // namespace lathe
