#include "lathe/text/train/merge_learner.h"

namespace lathe {

int32_t MergedTokens::add(std::string text, int32_t length) {
  texts.push_back(std::move(text));
  lengths.push_back(length);
  return static_cast<int32_t>(texts.size()) - 1;
}

void learn_merges(MergeText text, const MergeLimits& limits, std::string_view continuing_prefix,
                  const TrainProgress& progress, MergedTokens& tokens, const MayMake& may_make) {
  constexpr size_t kProgressEvery = 64;
  const auto report = [&] {
    if (progress) progress("merging", static_cast<int64_t>(tokens.texts.size()), limits.vocab_size);
  };
  BpeMerger merger(std::move(text), tokens.lengths, limits);
  while (static_cast<int64_t>(tokens.texts.size()) < limits.vocab_size) {
    const auto best = merger.best();
    if (!best) break;
    std::string_view right = tokens.texts[best->right];
    if (!continuing_prefix.empty() && right.starts_with(continuing_prefix))
      right.remove_prefix(continuing_prefix.size());
    std::string merged = tokens.texts[best->left] + std::string(right);
    if (may_make && !may_make(merged)) continue;
    const int32_t result = merger.merge(*best);
    tokens.merges.push_back({best->left, best->right, result});
    tokens.counts.push_back(best->count);
    tokens.add(std::move(merged), tokens.lengths[best->left] + tokens.lengths[best->right]);
    if (tokens.texts.size() % kProgressEvery == 0) report();
  }
  report();
}

}  // namespace lathe
