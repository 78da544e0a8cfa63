// What a model folder says of making vectors from texts, in the files of sentence-transformers
// (https://github.com/UKPLab/sentence-transformers; those of releases 2 to 6):
//
//   modules.json               the modules, in order: Transformer, Pooling, then any of Normalize, Dense, Dropout
//   N_Pooling/config.json      which poolings (embed/pooling.h)
//   N_Dense/config.json, …     y = f(x·Wᵀ + b), with its weights beside it
//   sentence_bert_config.json  max_seq_length
//
// All else that such files may ask for is refused by its name.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/embed/pooling.h"
#include "lathe/kernels/activation/activation_id.h"
#include "lathe/model/model_config.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

// What is done with a vector: y = f(x·Wᵀ + b); or, without a weight, y = x / |x|.
struct SentenceStep {
  Tensor weight = {};  // f32 [O,I]
  Tensor bias = {};    // f32 [O]; may be absent
  kernels::ActivationId activation = {};
};

struct SentenceConfig {
  std::vector<Pooling> poolings = {Pooling::kMean};
  std::vector<SentenceStep> steps = {};    // behind them
  std::optional<int64_t> max_tokens = {};  // of a text, special tokens included
  bool special_tokens = false;             // texts get those of the tokenizer ([CLS] … [SEP])
  bool lower_case = false;                 // texts are lower-cased first
  bool from_modules = false;               // the folder has a modules.json

  // Of a vector behind all steps, for a model of this width.
  int64_t width(int64_t hidden_size) const;
};

// Of the model at `path`, whose configuration is `model`. A folder without modules.json and a GGUF file are models that
// nobody made for vectors: the mean over a text's tokens, with special tokens where the body is an encoder. A prompt
// that the folder puts before every text by default is not: `log` gets a warning. Errors: kIo, kFormat (naming the file
// and the key) for values of a wrong type, sizes that do not fit and paths that leave the folder, kConfig for what is
// not supported.
SentenceConfig read_sentence_config(const std::filesystem::path& path, const ModelConfig& model,
                                    const Log& log = {});

}  // namespace lathe
