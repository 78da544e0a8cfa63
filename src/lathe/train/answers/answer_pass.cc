#include "lathe/train/answers/answer_pass.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/ops/dot.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/rearrange.h"
#include "lathe/ops/token_log_probs.h"

namespace lathe {
namespace {

std::vector<uint8_t> equal(const Tensor& ids, const Tensor& labels) {
  std::vector<uint8_t> same;
  for (int64_t i = 0; i < labels.numel(); ++i)
    same.push_back(ids.data<int32_t>()[i] == labels.data<int32_t>()[i]);
  return same;
}

}  // namespace

AnswerPass::AnswerPass(const Transformer& model, const Pass& pass, const AnswerBatch& batch,
                       const ScoreOptions& options, const Rng& dropout, Recompute recompute)
    : pass_(model, pass, dropout, recompute), tape_(pass.tape) {
  hidden_ = ops::take_rows(pass_.hidden(batch.inputs), batch.rows);
  ops::TopTokens best;
  Tensor collision;
  logps_ = ops::token_log_probs(hidden_, pass_.head(), batch.labels,
                                {.temperature = options.temperature,
                                 .entropy = options.entropy ? &entropy_ : nullptr,
                                 .collision = options.collision ? &collision : nullptr,
                                 .top = options.best ? &best : nullptr});
  scores_.logps = logps_.value.to_vector();
  if (options.entropy) scores_.entropy = entropy_.value.to_vector();
  if (options.collision) scores_.collision = collision.to_vector();
  if (options.best) scores_.is_best = equal(best.ids, batch.labels);
}

void AnswerPass::backward(const std::vector<double>& dlogps, const std::vector<double>& dentropy,
                          const Var& more) {
  Var loss = ops::dot(logps_, dlogps);
  // An entropy that is only shown has gradients of zero, and its backward is the slow one.
  if (std::ranges::any_of(dentropy, [](double d) { return d != 0; }))
    loss = ops::add(loss, ops::dot(entropy_, dentropy));
  if (more.defined()) loss = ops::add(loss, more);
  tape_->backward(loss);
}

namespace {

// The rows whose hidden states the scores are made from.
Tensor rows_of(const AnswerBatch& batch, ValuePass::Of of) {
  if (of == ValuePass::Of::kSequences) return batch.last_rows;
  if (of == ValuePass::Of::kTokens) return batch.rows;
  Tensor own(batch.rows.shape(), DType::kI32);  // behind the row that predicts the token
  for (int64_t i = 0; i < own.numel(); ++i)
    own.data<int32_t>()[i] = batch.rows.data<int32_t>()[i] + 1;
  return own;
}

}  // namespace

ValuePass::ValuePass(const Transformer& model, const Pass& pass, const AnswerBatch& batch, Of of,
                     const Rng& dropout, Recompute recompute)
    : pass_(model, pass, dropout, recompute), tape_(pass.tape) {
  const Var hidden = ops::take_rows(pass_.hidden(batch.inputs), rows_of(batch, of));
  const int64_t labels = model.config().num_labels;
  require(labels == (of == Of::kStepEnds ? 2 : 1), ErrorKind::kConfig, "model",
          "{}, but this one gives {}",
          of == Of::kStepEnds ? "a model that judges steps gives two scores"
                              : "a reward model or critic gives one score",
          labels);
  scores_ = model.scores(pass, hidden);
  values_ = scores_.value.to_vector();
}

void ValuePass::backward(const std::vector<double>& dvalues) {
  tape_->backward(ops::dot(scores_, dvalues));
}

}  // namespace lathe
