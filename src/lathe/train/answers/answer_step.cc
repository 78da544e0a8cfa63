#include "lathe/train/answers/answer_step.h"

#include <optional>

#include "lathe/base/error.h"
#include "lathe/ops/dot.h"
#include "lathe/ops/elementwise.h"
#include "lathe/train/answers/embedding_noise.h"

namespace lathe {

// A micro-batch before its loss, and what of it is known without a gradient.
struct AnswerStep::Prepared {
  AnswerBatch batch;
  std::vector<double> old_logps, reference, old_values;
  Advantages advantages;
};

namespace {

// `adapters` with the noise of the settings around them; nothing where there is none.
std::optional<EmbeddingNoise> noise_around(const Adapters* adapters, const AnswerBatch& batch,
                                           const AnswerStepSettings& settings, const Rng& rng) {
  std::optional<EmbeddingNoise> noise;
  if (settings.training && settings.embedding_noise > 0)
    noise.emplace(settings.embedding_noise, batch.inputs, rng, adapters);
  return noise;
}

// What a loss adds for the metrics of the whole step.
void add(const AnswerLoss& loss, AnswerStepResult& result) {
  result.loss += loss.loss.item();
  for (const Measured& more : loss.metrics) {
    const auto found = std::ranges::find(result.metrics, more.name, &Measured::name);
    if (found == result.metrics.end()) {
      result.metrics.push_back(more);
    } else {
      found->sum += more.sum;
      found->weight += more.weight;
    }
  }
}

// `more` with the adapter's own loss, which counts in the gradient alone.
Var with_regularization(const AppliedAdapters& adapters, const Pass& pass, double share,
                        const Var& more) {
  const Var own = adapters.regularization(pass);
  if (!own.defined()) return more;
  const Var part = ops::scale(own, share);
  return more.defined() ? ops::add(more, part) : part;
}

// nullptr without one.
std::unique_ptr<AppliedAdapters> acting(const std::shared_ptr<const Adapter>& adapter,
                                        const Rng& rng = Rng(0)) {
  if (adapter == nullptr) return nullptr;
  return std::make_unique<AppliedAdapters>(std::vector{adapter}, std::nullopt, rng);
}

class Recording {
 public:
  // A tape only where there are gradients to write.
  Recording(const AnswerStepSettings& settings, ParameterGradients* gradients)
      : tape_({.keep_cheap = settings.recompute != Recompute::kSelective,
               .before_each = settings.before_each}) {
    if (gradients == nullptr) return;
    pass.tape = &tape_;
    pass.gradients = gradients;
  }
  Pass pass;

 private:
  Tape tape_;
};

}  // namespace

AnswerBatchOptions AnswerStep::batch_options() const {
  const ModelConfig& config = models_.policy->config();
  return {.decoder_start = config.body_traits().encoder ? config.decoder_start() : std::nullopt,
          .score_prompts = needs_.score_prompts,
          .whole = needs_.scores || needs_.step_scores};
}

std::vector<double> AnswerStep::log_probs(const Transformer& model, const Adapters* adapters,
                                          const AnswerBatch& batch) const {
  if (batch.tokens() == 0) return {};
  return AnswerPass(model, {.adapters = adapters}, batch,
                    {.temperature = needs_.policy.temperature})
      .scores()
      .logps;
}

// A row's numbers do not depend on the others of a pass without a tape, so what was kept has the bits of
// what would be computed now.
std::vector<double> AnswerStep::reference_of(const AnswerBatch& batch) {
  std::vector<double> all;
  bool known = keeps_reference_;
  for (int64_t s = 0; known && s < batch.sequences(); ++s) {
    const auto found = reference_.find(&batch.answer_of(s));
    known = found != reference_.end();
    if (known) all.insert(all.end(), found->second.begin(), found->second.end());
  }
  if (known) return all;
  all = log_probs(*models_.reference, nullptr, batch);
  for (int64_t s = 0; keeps_reference_ && s < batch.sequences(); ++s)
    reference_[&batch.answer_of(s)].assign(all.begin() + batch.scored.first(s),
                                           all.begin() + batch.scored.first(s + 1));
  return all;
}

std::vector<AnswerStep::Prepared> AnswerStep::prepare(
    const std::vector<std::vector<const Example*>>& micro_batches, std::optional<double> kl_coef) {
  std::vector<Prepared> all;
  for (const auto& examples : micro_batches) {
    Prepared& micro = all.emplace_back();
    micro.batch = make_answer_batch(examples, batch_options());
    if (needs_.reference) micro.reference = reference_of(micro.batch);
    if (needs_.kind != ExampleKind::kRollout) continue;
    micro.old_logps = micro.batch.at_scored(&Example::old_logps, "old_logps");
    if (micro.old_logps.empty() && needs_.old_logps)
      micro.old_logps = log_probs(*models_.policy, acting(models_.adapter).get(), micro.batch);
    if (!needs_.values) continue;
    micro.old_values = micro.batch.at_scored(&Example::old_values, "old_values");
    if (micro.old_values.empty() && micro.batch.tokens() > 0)
      micro.old_values = values_of(micro.batch, {}, Rng(0));
  }
  if (needs_.kind == ExampleKind::kRollout) add_advantages(all, kl_coef);
  return all;
}

void AnswerStep::add_advantages(std::vector<Prepared>& all, std::optional<double> kl_coef) const {
  std::vector<RolloutBatch> step;
  for (const Prepared& micro : all)
    step.push_back({&micro.batch, micro.old_logps, micro.reference, micro.old_values, kl_coef});
  std::vector<Advantages> advantages = objective_.advantages(step);
  for (size_t m = 0; m < all.size(); ++m) all[m].advantages = std::move(advantages[m]);
}

// Of each prompt with the answer of the example before it.
std::vector<double> AnswerStep::crossed_sums(const Transformer& model, const Adapters* adapters,
                                             const AnswerBatch& batch) const {
  std::vector<Example> crossed;
  const size_t count = batch.examples.size();
  for (size_t i = 0; i < count; ++i) {
    Example& example = crossed.emplace_back();
    example.place = batch.examples[i]->place;
    example.prompt = batch.examples[i]->prompt;
    example.answers = batch.examples[(i + count - 1) % count]->answers;
  }
  std::vector<const Example*> pointers;
  for (const Example& example : crossed) pointers.push_back(&example);
  const AnswerBatch other = make_answer_batch(pointers, batch_options());
  return sums(Values(log_probs(model, adapters, other)), other.scored).numbers();
}

void AnswerStep::add_crossed(const AnswerBatch& batch, LossInput& in) const {
  if (!needs_.crossed) return;
  in.crossed = crossed_sums(*models_.policy, acting(models_.adapter).get(), batch);
  in.crossed_reference = crossed_sums(*models_.reference, nullptr, batch);
}

std::vector<double> AnswerStep::values_of(const AnswerBatch& batch,
                                          const AnswerStepSettings& settings,
                                          const Rng& dropout) const {
  const auto adapters = acting(models_.critic_adapter, dropout.fork("adapter"));
  const Pass pass{.training = settings.training, .adapters = adapters.get()};
  return ValuePass(*models_.critic, pass, batch, ValuePass::Of::kTokens, dropout).values();
}

void AnswerStep::learn_values(const AnswerBatch& batch, const AnswerStepSettings& settings,
                              const Rng& dropout, ParameterGradients& critic,
                              const std::vector<double>& dvalues) const {
  Recording recording(settings, &critic);
  const auto adapters = acting(models_.critic_adapter, dropout.fork("adapter"));
  recording.pass.adapters = adapters.get();
  recording.pass.training = settings.training;
  ValuePass(*models_.critic, recording.pass, batch, ValuePass::Of::kTokens, dropout,
            settings.recompute)
      .backward(dvalues);
}

std::vector<double> AnswerStep::run_tokens(const Prepared& micro,
                                           const AnswerStepSettings& settings, const Rng& dropout,
                                           AnswerStepResult& result, ParameterGradients* policy) {
  Recording recording(settings, policy);
  const auto adapters = acting(models_.adapter, dropout.fork("adapter"));
  const auto noise = noise_around(adapters.get(), micro.batch, settings, dropout);
  recording.pass.adapters = noise ? &*noise : static_cast<const Adapters*>(adapters.get());
  recording.pass.training = settings.training;
  const bool balances = settings.training && settings.balances_routers;
  recording.pass.router_statistics = balances ? &result.routers : nullptr;
  recording.pass.auxiliary_scale =
      !settings.balances_routers ? 0.0
                                 : settings.scale * static_cast<double>(micro.batch.tokens()) /
                                       static_cast<double>(result.counts.tokens);
  AnswerPass pass(*models_.policy, recording.pass, micro.batch, needs_.policy, dropout,
                  settings.recompute);
  ValueTape tape;
  LossInput in{.batch = micro.batch,
               .step = result.counts,
               .policy = pass.scores(),
               .reference = micro.reference,
               .old_logps = micro.old_logps,
               .old_values = micro.old_values,
               .advantages = micro.advantages};
  const Values logps = in.logps = tape.leaf(pass.scores().logps);
  const Values entropy = in.entropy = tape.leaf(pass.scores().entropy);
  if (needs_.values)
    in.values = tape.leaf(values_of(micro.batch, settings, dropout.fork("critic")));
  Var divergence;
  if (needs_.teacher) {
    const AnswerPass teacher(*models_.teacher, {}, micro.batch, {});
    divergence = ops::token_divergence(pass.hidden(), pass.head(), teacher.hidden().value,
                                       teacher.head(), *needs_.teacher);
    in.divergence = tape.leaf(divergence.value.to_vector());
  }
  add_crossed(micro.batch, in);
  const AnswerLoss loss = objective_.loss(in);
  add(loss, result);
  result.micro_batches.back().policy = pass.scores();
  if (policy == nullptr) return {};
  tape.backward(settings.scale * loss.loss);
  Var more = divergence.defined() ? ops::dot(divergence, tape.gradient(in.divergence)) : Var();
  if (adapters)
    more = with_regularization(*adapters, recording.pass, settings.scale * in.share(), more);
  pass.backward(tape.gradient(logps),
                needs_.policy.entropy ? tape.gradient(entropy) : std::vector<double>(), more);
  return needs_.values ? tape.gradient(in.values) : std::vector<double>();
}

void AnswerStep::run_scores(const Prepared& micro, const AnswerStepSettings& settings,
                            const Rng& dropout, AnswerStepResult& result,
                            ParameterGradients* policy) {
  Recording recording(settings, policy);
  const auto adapters = acting(models_.adapter, dropout.fork("adapter"));
  const auto noise = noise_around(adapters.get(), micro.batch, settings, dropout);
  recording.pass.adapters = noise ? &*noise : static_cast<const Adapters*>(adapters.get());
  recording.pass.training = settings.training;
  ValuePass pass(*models_.policy, recording.pass, micro.batch,
                 needs_.step_scores ? ValuePass::Of::kStepEnds : ValuePass::Of::kSequences, dropout,
                 settings.recompute);
  ValueTape tape;
  const TokenScores none;
  LossInput in{.batch = micro.batch, .step = result.counts, .policy = none};
  in.scores = tape.leaf(pass.values());
  const AnswerLoss loss = objective_.loss(in);
  add(loss, result);
  result.micro_batches.back().scores = pass.values();
  if (policy == nullptr) return;
  tape.backward(settings.scale * loss.loss);
  pass.backward(tape.gradient(in.scores));
}

AnswerStepResult AnswerStep::run(const std::vector<std::vector<const Example*>>& micro_batches,
                                 const AnswerStepSettings& settings, ParameterGradients* policy,
                                 ParameterGradients* critic) {
  std::vector<Prepared> prepared = prepare(micro_batches, settings.kl_coef);
  AnswerStepResult result;
  for (const Prepared& micro : prepared) {
    result.counts.examples += std::ssize(micro.batch.examples);
    result.counts.sequences += micro.batch.sequences();
    result.counts.tokens += micro.batch.tokens();
    result.counts.first_tokens += micro.batch.scored.first(std::ssize(micro.batch.examples));
  }
  for (size_t m = 0; m < prepared.size(); ++m) {
    const Rng dropout = settings.dropout.fork(m);
    result.micro_batches.emplace_back();
    if (needs_.scores || needs_.step_scores) {
      run_scores(prepared[m], settings, dropout, result, policy);
    } else if (prepared[m].batch.tokens() >
               0) {  // else its answers count in nothing but means of groups
      const std::vector<double> dvalues =
          run_tokens(prepared[m], settings, dropout, result, policy);
      if (critic != nullptr && !dvalues.empty())
        learn_values(prepared[m].batch, settings, dropout.fork("critic"), *critic, dvalues);
    }
    result.routers.end_micro_batch();
    result.micro_batches[m].advantages = std::move(prepared[m].advantages.advantages);
    result.micro_batches[m].batch = std::move(prepared[m].batch);
  }
  return result;
}

}  // namespace lathe
