// A reward model: a sequence classifier with one label, whose score of prompt and answer is the reward. It is a folder
// of a model, or one of an adapter with a score of its own, above the model that the policy starts from: with a policy
// that is an adapter, too, both share one copy of that model's weights.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/transformer.h"
#include "lathe/text/tokenizer.h"
#include "lathe/train/example/example_encoder.h"
#include "lathe/train/reward/reward_functions.h"

namespace lathe {

// Of the run that asks for rewards.
struct RewardModelSetting {
  const Tokenizer* tokenizer = nullptr;  // of the policy; outlives the reward model
  DType dtype = DType::kF32;
  Device device = Device::kCpu;
  std::optional<std::string> from = {};  // the folder that the policy starts from
  // The model of that folder below the policy's adapter, which does not change and outlives the reward model;
  // nullptr where the policy trains all of its model.
  Transformer* base = nullptr;
};

// Thread-safe.
class RewardModel {
 public:
  // Errors: those of load_model(), load_adapter() and require_base(); kConfig, naming reward.model, for a model or an
  // adapter that gives no score and for one without a tokenizer whose vocabulary is not the policy's.
  RewardModel(const std::string& folder, const RewardModelSetting& setting, const Log& log);

  // One for each answer. With the policy's tokenizer it reads the policy's ids as they were drawn; with another
  // one, the row through its own chat template, or prompt and answer as text through its own tokenizer, with its
  // end-of-text token behind an answer that was ended. An answer's score does not depend on the others.
  // Errors: kData, naming the row, for a text that is longer than the model reads; those of ExampleEncoder;
  // what `before_each` throws, which is called before each pass.
  std::vector<double> scores(std::span<const RewardInput> inputs,
                             const std::function<void()>& before_each) const;

  // Whether it reads the policy's ids.
  bool shares_ids() const { return !encoder_; }

 private:
  void load_model_of(const RewardModelSetting& setting, const Log& log);
  void load_adapter_of(const RewardModelSetting& setting, const Log& log);
  int64_t most_tokens() const;
  Example example_of(const RewardInput& input) const;
  Example encoded(const RewardInput& input) const;

  const std::string folder_;
  const Tokenizer* policy_tokenizer_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<AppliedAdapters> adapter_;  // above it; nullptr without one
  std::optional<ExampleEncoder> encoder_;     // of a model with another vocabulary
};

}  // namespace lathe
