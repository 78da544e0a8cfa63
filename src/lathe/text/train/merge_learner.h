// Byte-pair encoding over any symbols: from words to merges and the strings they make. Internal to
// text/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/model/short_merge.h"
#include "lathe/text/train/bpe_merger.h"
#include "lathe/text/train/train_options.h"

namespace lathe {

// Tokens in the order of their ids: first those that merging begins with, then one for each merge.
struct MergedTokens {
  std::vector<std::string> texts;
  std::vector<int32_t> lengths;  // in symbols; 0: never part of a word
  std::vector<Merge> merges;
  std::vector<int64_t> counts;  // how often each merge's pair occurred when it was merged

  int64_t last_count() const { return counts.empty() ? 0 : counts.back(); }
  int32_t add(std::string text, int32_t length);
};

// Merges until there are limits.vocab_size tokens or no pair is frequent enough. The text of a
// merged token is that of its parts, less `continuing_prefix` where the right one begins with it.
// Where there is `may_make`, it is asked for the text of every token that would come next; a pair
// whose token may not be made is passed over.
using MayMake = std::function<bool(std::string_view text)>;
void learn_merges(MergeText text, const MergeLimits& limits, std::string_view continuing_prefix,
                  const TrainProgress& progress, MergedTokens& tokens,
                  const MayMake& may_make = {});

}  // namespace lathe
