// The log-probability of given texts, many at once: what a model says of answers that somebody else wrote.
//
// Texts that begin alike are a tree, of which each token is computed once: the choices of a question share the question,
// and questions share the examples before them. What the next texts begin with is found in a cache of prefixes. Only the
// rows that predict a scored token reach the output head.
//
// A text's numbers depend on the text alone: not on the others, their order, or the number of threads (engine.h says
// why).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lathe/infer/paged_cache.h"
#include "lathe/model/adapter/row_adapters.h"
#include "lathe/model/transformer.h"

namespace lathe {

// The tokens from number `context` on are scored, each behind all tokens before it: Σ log p(x_t | x_<t), t ≥ context.
// A model with an encoder reads the context there, and predicts the others; one with a prefix has it as prefix.
struct ScoredText {
  std::vector<int32_t> tokens;
  int64_t context = 1;  // from 1 to tokens.size() - 1
};

struct TextLikelihood {
  std::vector<float> logprobs;  // natural, of each scored token
  bool greedy = true;           // each is the likeliest, the lowest id on ties
  double sum() const;
};

struct LikelihoodOptions {
  int64_t pass_tokens = 2048;   // of a pass, at most
  int64_t cache_tokens = 8192;  // held at once; more where a text is longer
  Adaptation adaptation = {};   // acts on all texts; it must fit the model
};

// Used by one thread. The model must outlive it.
class TextLikelihoods {
 public:
  // Errors: kData for a body that predicts hidden tokens in place, and for a model without an output head; kConfig for an encoder whose decoder has no id to
  // start with.
  explicit TextLikelihoods(const Transformer& model, const LikelihoodOptions& options = {});
  ~TextLikelihoods();

  // In the order of the texts. `before_each` is called before each pass and may throw. Errors: kData for a text with
  // nothing to score, ids outside the vocabulary, or more tokens than the model reads.
  std::vector<TextLikelihood> of(std::span<const ScoredText> texts,
                                 const std::function<void()>& before_each = {});

  int64_t computed_tokens() const { return computed_; }  // rows of all passes so far

 private:
  class Window;
  struct Target;

  void check(std::span<const ScoredText> texts) const;
  void make_cache_for(int64_t tokens);
  void run_windows(std::span<const ScoredText> texts, const std::function<void()>& before_each,
                   std::vector<TextLikelihood>& results);
  TextLikelihood alone(const ScoredText& text);
  // Null where nothing acts beside the weights.
  std::unique_ptr<RowAdapters> acting_on(const Sequences& rows,
                                         const Sequences* text = nullptr) const;
  void take(const Tensor& hidden, std::span<const Target> targets,
            std::span<const ScoredText> texts, std::vector<TextLikelihood>& results) const;

  const Transformer& model_;
  LikelihoodOptions options_;
  bool shares_;
  std::unique_ptr<PagedCache> cache_;
  int64_t held_ = 0;  // tokens that the cache has room for
  int64_t computed_ = 0;
};

}  // namespace lathe
