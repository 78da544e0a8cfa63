// Answers of a model in this process: log-likelihoods by infer/text_likelihood.h, texts by infer/engine.h.
#pragma once

#include <memory>
#include <string>

#include "lathe/eval/ask/answer_source.h"
#include "lathe/eval/ask/request_encoder.h"
#include "lathe/infer/text_likelihood.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

// How texts are encoded for this model and the tokenizer at `tokenizer_path`. Errors: kData for a tokenizer of more
// tokens than the model has, and for one whose texts have neither a beginning nor an end.
RequestRules request_rules(const Transformer& model, const Tokenizer& tokenizer,
                           const std::string& tokenizer_path);

// Used by one thread. Model and tokenizer must outlive it.
class ModelSource : public AnswerSource {
 public:
  // Number k of the samples of an item draws from a stream of the seed, the task's name and the item's number.
  // `adapters` act on the model, one after the other, and must fit it.
  ModelSource(const Transformer& model, const Tokenizer& tokenizer, RequestRules rules,
              int64_t seed, std::vector<std::shared_ptr<const LoraAdapter>> adapters = {});

  void ask(const TaskConfig& task, std::span<const EvalItem> items,
           const std::function<void(std::span<NumberedAnswer>)>& take) override;

 private:
  class Texts;

  void ask_likelihoods(const TaskConfig& task, std::span<const EvalItem> items, size_t first,
                       const std::function<void(std::span<NumberedAnswer>)>& take);
  void generate(const TaskConfig& task, std::span<const EvalItem> items,
                const std::function<void(std::span<NumberedAnswer>)>& take);

  const Transformer& model_;
  const Tokenizer& tokenizer_;
  std::vector<std::shared_ptr<const LoraAdapter>> adapters_;
  RequestEncoder encoder_;
  TextLikelihoods likelihoods_;
  int64_t seed_;
};

}  // namespace lathe
