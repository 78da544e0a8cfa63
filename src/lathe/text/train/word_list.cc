#include "lathe/text/train/word_list.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"

namespace lathe {

WordList::WordList(std::vector<WordCounts>& shards, const Alphabet& alphabet) {
  int64_t bytes = 1, words = 0;
  for (const WordCounts& shard : shards) {
    bytes += shard.positions();
    words += shard.size();
  }
  require(bytes < int64_t{UINT32_MAX}, ErrorKind::kData, "train",
          "{} bytes of distinct words, expected less than 4 GiB; lower the memory limit", bytes);
  text_.reserve(static_cast<size_t>(bytes));
  begins_.reserve(static_cast<size_t>(words) + 1);
  counts_.reserve(static_cast<size_t>(words));
  text_.push_back('\0');
  for (WordCounts& shard : shards) {
    shard.for_each([&](const WordCounts::Entry& e) { add_covered(e.word(), e.count, alphabet); });
    shard.clear();
  }
  begins_.push_back(static_cast<uint32_t>(text_.size()));
  word_of_block_.assign((text_.size() >> kBlockBits) + 1, 0);
  for (size_t word = 0, block = 0; block < word_of_block_.size(); ++block) {
    while (word + 1 < counts_.size() && begins_[word + 1] <= block << kBlockBits) ++word;
    word_of_block_[block] = static_cast<uint32_t>(word);
  }
}

void WordList::add(std::string_view word, int64_t count) {
  if (word.empty()) return;
  begins_.push_back(static_cast<uint32_t>(text_.size()));
  counts_.push_back(count);
  text_ += word;
  text_.push_back('\0');
}

void WordList::add_covered(std::string_view word, int64_t count, const Alphabet& alphabet) {
  const uint8_t *begin = as_bytes(word), *end = begin + word.size(), *from = begin;
  const auto close = [&](const uint8_t* to) {
    add(word.substr(static_cast<size_t>(from - begin), static_cast<size_t>(to - from)), count);
  };
  for (const uint8_t* p = begin; p < end;) {
    const CodePoint c = decode_utf8(p, end);
    const bool covered = c.value != kInvalidByte && alphabet.index_of(c.value) >= 0;
    if (!covered || static_cast<size_t>(p - from) + c.size > kLongestWord) {
      close(p);
      from = covered ? p : p + c.size;
    }
    p += c.size;
  }
  close(end);
}

}  // namespace lathe
