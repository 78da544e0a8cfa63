// What a model says of the scored tokens of a batch, and the way back: a loss over these numbers
// (autograd/values.h) gives each a weight, from which the gradients of the model follow.
#pragma once

#include <optional>
#include <vector>

#include "lathe/model/model_pass.h"
#include "lathe/train/answers/answer_batch.h"

namespace lathe {

struct ScoreOptions {
  double temperature = 1.0;  // of the distribution that all numbers refer to
  bool entropy = false;      // with a gradient
  bool collision = false;    // log Σ p² of each token's distribution
  bool best = false;         // whether the token is the most likely one
};

// [n] each; empty where it was not asked for.
struct TokenScores {
  std::vector<double> logps, entropy, collision;
  std::vector<uint8_t> is_best;
};

// One forward pass, kept for its backward. The model, what the pass points to and the batch must
// outlive it. Thread-safe as a pass is.
class AnswerPass {
 public:
  // Needs pass.tape for backward().
  AnswerPass(const Transformer& model, const Pass& pass, const AnswerBatch& batch,
             const ScoreOptions& options, const Rng& dropout = Rng(0),
             Recompute recompute = Recompute::kNone);

  const TokenScores& scores() const { return scores_; }
  // The hidden states of the scored tokens' rows, [n, C], and what turns them into logits.
  const Var& hidden() const { return hidden_; }
  ops::OutputHead head() const { return pass_.head(); }

  // Adds to the gradients of the pass those of Σ logps·dlogps + Σ entropy·dentropy + `more`, a scalar on
  // the tape. Without dentropy it counts nothing. Once.
  void backward(const std::vector<double>& dlogps, const std::vector<double>& dentropy = {},
                const Var& more = {});

 private:
  ModelPass pass_;
  Tape* tape_;
  Var hidden_, logps_, entropy_;
  TokenScores scores_;
};

// The scores of a model with num_labels 1: of the text before each scored token [n], or of each whole
// sequence [S]; or those of a model with num_labels 2 at each scored token itself [n, 2]. The latter two need
// AnswerBatchOptions::whole.
class ValuePass {
 public:
  enum class Of : uint8_t { kTokens, kSequences, kStepEnds };
  ValuePass(const Transformer& model, const Pass& pass, const AnswerBatch& batch, Of of,
            const Rng& dropout = Rng(0), Recompute recompute = Recompute::kNone);

  const std::vector<double>& values() const { return values_; }
  // As in AnswerPass.
  void backward(const std::vector<double>& dvalues);

 private:
  ModelPass pass_;
  Tape* tape_;
  Var scores_;
  std::vector<double> values_;
};

}  // namespace lathe
