// The model's own modules for multi-token prediction guess (DeepSeek-AI 2024, arXiv:2412.19437,
// sections 2.2 and 5.4.3): with D of them, up to D tokens.
#pragma once

#include <map>

#include "lathe/infer/cache_plan.h"
#include "lathe/infer/speculation/drafter.h"
#include "lathe/model/transformer.h"

namespace lathe {

// Module k reads token i as h_{k-1,i} together with the embedding of token i + k (model/mtp.h); its
// last output gives the guess number k. Each has a cache of its own. Of a text whose beginning was
// found in the engine's cache of prefixes the modules see the rest.
class ExtraHeads : public Drafter {
 public:
  // The engine's model and options. Errors: kData for a model without such modules.
  ExtraHeads(const Transformer& model, const EngineOptions& options);
  ~ExtraHeads() override;
  void guess(std::span<Draft> drafts) override;
  void see(int64_t sequence, int64_t first, const Tensor& hidden) override;
  void forget(int64_t sequence, std::span<const int32_t> text) override;

 private:
  // What module k has of one sequence: tokens [begin, end) are in its cache, and `hidden` are the
  // states h_{k-1} of those from `end` on, which wait for the token ahead.
  struct Progress {
    PagedCache::Id cache;
    int64_t end = 0;
    Tensor hidden;
  };
  struct Known {
    int64_t begin = 0;
    std::vector<Progress> modules;
  };
  bool prepare(const Draft& draft);
  void guess_with(size_t module, std::span<Draft* const> drafts);
  void settle(const Draft& draft, size_t module, const Tensor& out);
  void forget_guesses(int64_t sequence);
  void drop(int64_t sequence);

  const Transformer& model_;
  std::vector<std::unique_ptr<PagedCache>> caches_;  // of each module
  std::map<int64_t, Known> known_;
};

}  // namespace lathe
