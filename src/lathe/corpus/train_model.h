// The catalogue of models that `lathe tokenizer train` trains. Internal to corpus/.
#pragma once

#include <span>

#include "lathe/base/catalogue.h"
#include "lathe/corpus/tokenizer_training.h"
#include "lathe/text/train/vocabulary_trainer.h"

namespace lathe {

struct TrainedModel {
  std::string_view name, summary, source;
  VocabularyKind kind;
  // What goes with it unless told otherwise.
  std::string_view pre, normalizer;
  std::string_view unknown;  // empty: none
  double coverage;           // share of the text whose characters get a token
};
extern const std::span<const TrainedModel> kTrainedModels;

// Trains what `config` says on the texts of `feed`; `weights` are those of the texts. Throws kUsage
// for options that do not go together, kConfig and kData as the trainers do. Leaves `counts` empty.
TokenizerTraining train_model(const TokenizerTrainConfig& config, std::span<const double> weights,
                              const CorpusFeed& feed, const TrainProgress& progress);

}  // namespace lathe
