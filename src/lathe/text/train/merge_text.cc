#include "lathe/text/train/merge_text.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {

MergeText::MergeText(std::vector<WordCounts>& shards, const Symbols& symbols) {
  int64_t words = 0, positions = 1;
  for (const WordCounts& shard : shards) {
    words += shard.size();
    positions += shard.positions();
  }
  require(positions < int64_t{UINT32_MAX}, ErrorKind::kData, "train",
          "{} bytes of distinct words, expected less than 4 GiB; lower the memory limit",
          positions);
  tokens_.reserve(static_cast<size_t>(positions));
  begins_.reserve(static_cast<size_t>(words) + 1);
  counts_.reserve(static_cast<size_t>(words));
  tokens_.push_back(kEnd);
  std::vector<int32_t> tokens;
  for (WordCounts& shard : shards) {
    shard.for_each([&](const WordCounts::Entry& e) {
      tokens.clear();
      symbols(e.word(), tokens);
      for (auto at = tokens.begin(); at != tokens.end();) {
        const auto end = std::find(at, tokens.end(), kEnd);
        if (at != end) add_word(at, end, e.count);
        at = end == tokens.end() ? end : end + 1;
      }
    });
    shard.clear();
  }
  begins_.push_back(static_cast<uint32_t>(tokens_.size()));
  word_of_block_.assign((tokens_.size() >> kBlockBits) + 1, 0);
  for (size_t word = 0, block = 0; block < word_of_block_.size(); ++block) {
    while (word + 1 < counts_.size() && begins_[word + 1] <= block << kBlockBits) ++word;
    word_of_block_[block] = static_cast<uint32_t>(word);
  }
}

void MergeText::add_word(std::vector<int32_t>::const_iterator begin,
                         std::vector<int32_t>::const_iterator end, int64_t count) {
  begins_.push_back(static_cast<uint32_t>(tokens_.size()));
  counts_.push_back(count);
  tokens_.insert(tokens_.end(), begin, end);
  tokens_.push_back(kEnd);
}

}  // namespace lathe
