#include "lathe/train/task/pretraining_mix.h"

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/io/manifest.h"
#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/batch_pass.h"

namespace lathe {
namespace {

Recipe of_pretraining(Recipe recipe, const PretrainingMixConfig& config) {
  recipe.data.train = config.ptx_data;
  recipe.train.batch_size = config.ptx_batch_size.value_or(8);
  return recipe;
}

std::shared_ptr<const RowFormat> next_token(const Recipe& recipe) {
  const Objective& format = find_in(objectives(), "objective.name", "next_token");
  require(recipe.model.body == format.bodies.front(), ErrorKind::kConfig, "objective.ptx_coef",
          "a model with the body {} does not predict the next token of a text; leave ptx_coef out",
          recipe.model.body);
  return format.format({.body = recipe.model.body_traits(),
                        .vocab_size = recipe.model.vocab_size,
                        .seq_len = recipe.train.seq_len,
                        .eos_token_id = recipe.model.eos_token_id},
                       format.config());
}

}  // namespace

PretrainingMix::PretrainingMix(const Recipe& recipe, const PretrainingMixConfig& config)
    : recipe_(of_pretraining(recipe, config)),
      coefficient_(config.ptx_coef),
      data_(open_training_data(recipe_, next_token(recipe_))) {}

double PretrainingMix::add_gradients(int64_t step, Policy& policy, ParameterGradients& gradients,
                                     const StopCheck& stop_if_asked) const {
  const Batch batch = data_.loader->batch(step - 1);
  const Rng dropout = Rng(static_cast<uint64_t>(recipe_.train.seed))
                          .fork("pretraining")
                          .fork(static_cast<uint64_t>(step));
  std::unique_ptr<AppliedAdapters> adapters;
  if (policy.adapter())
    adapters = std::make_unique<AppliedAdapters>(
        std::vector<std::shared_ptr<const Adapter>>{policy.adapter()}, std::nullopt,
        dropout.fork("adapter"));
  Tape tape(
      {.keep_cheap = recipe_.recompute() != Recompute::kSelective, .before_each = stop_if_asked});
  const Pass settings{.tape = &tape,
                      .gradients = &gradients,
                      .training = true,
                      .adapters = adapters.get(),
                      .auxiliary_scale = 0};
  ModelPass pass(policy.model(), settings, dropout, recipe_.recompute());
  const Var hidden = pass.hidden(inputs_of(batch));
  // The loss is a mean; a smaller divisor makes its gradient larger by the coefficient.
  const Var loss = ops::linear_cross_entropy(
      hidden, pass.head(), batch.labels,
      {.normalizer = static_cast<double>(batch.label_count) / coefficient_});
  tape.backward(loss);
  return loss.value.item() / coefficient_;
}

TaskInputs PretrainingMix::check() const {
  Manifest inputs;
  std::string hash;
  for (const auto& shard : data_.shards) {
    shard->check_ids(recipe_.model.vocab_size);
    add_input(inputs, shard->prefix(), "shard");
  }
  for (const ArtefactRef& each : inputs.inputs) hash += each.hash + "\n";
  return {std::move(inputs.inputs), hash};
}

}  // namespace lathe
