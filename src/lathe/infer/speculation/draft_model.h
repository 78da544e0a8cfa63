// A smaller model guesses for a larger one (Leviathan et al. 2022, arXiv:2211.17192; Chen et al. 2023,
// arXiv:2302.01318). It draws with the sequence's own samplers and random numbers: where the two
// models agree, it draws what the larger one will.
#pragma once

#include <map>

#include "lathe/infer/cache_plan.h"
#include "lathe/infer/speculation/drafter.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Has a cache of its own, as large as the engine's in tokens. Texts with ids outside the draft's
// vocabulary, or longer than its positions, get no guesses.
class DraftModel : public Drafter {
 public:
  // `options` are the engine's; the draft must outlive it. Errors: kData for a draft that is no plain
  // decoder.
  DraftModel(const Transformer& draft, const EngineOptions& options);
  void guess(std::span<Draft> drafts) override;
  void forget(int64_t sequence, std::span<const int32_t> text) override;

 private:
  // The tokens of a sequence that the cache holds.
  struct Known {
    PagedCache::Id cache;
    std::vector<int32_t> tokens;
  };
  bool prepare(const Draft& draft);
  bool fits(const Draft& draft) const;
  Tensor compute(std::span<Draft* const> drafts, int64_t most);
  void drop(int64_t sequence);

  const Transformer& model_;
  int64_t token_budget_;
  PagedCache cache_;
  std::map<int64_t, Known> known_;
};

// Why a model of these tokens cannot draft for another, or empty: both must call the same text by the
// same ids. `draft` and `model` are the bytes of each token.
std::string why_not_a_draft(std::span<const std::string> draft, std::span<const std::string> model);

}  // namespace lathe
