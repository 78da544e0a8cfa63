#include "lathe/infer/speculation/ngram_table.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/rng.h"

namespace lathe {

NgramTable::NgramTable(int64_t shortest, int64_t longest, size_t entries)
    : shortest_(shortest), longest_(longest), entries_(entries) {
  require(shortest >= 1 && longest >= shortest && entries > 0, ErrorKind::kConfig, "ngram",
          "n-grams of {} to {} tokens in a table of {}, expected at least 1, no fewer, and 1",
          shortest, longest, entries);
}

// Two n-grams of the same key are taken for one: a wrong guess, found at a rate of 2⁻⁶⁴.
uint64_t NgramTable::key_of(std::span<const int32_t> tokens) {
  Rng key(tokens.size());
  for (const int32_t token : tokens) key = key.fork(static_cast<uint64_t>(token));
  return key.bits64(0) | 1;
}

void NgramTable::learn(int64_t sequence, std::span<const int32_t> text) {
  int64_t& learned = learned_[sequence];
  for (; learned < std::ssize(text); ++learned)
    for (int64_t n = shortest_; n <= std::min(longest_, learned); ++n) {
      const uint64_t key =
          key_of(text.subspan(static_cast<size_t>(learned - n), static_cast<size_t>(n)));
      entries_[key % entries_.size()] = {key, text[static_cast<size_t>(learned)]};
    }
}

const NgramTable::Entry* NgramTable::find(std::span<const int32_t> text) const {
  for (int64_t n = std::min(longest_, std::ssize(text)); n >= shortest_; --n) {
    const uint64_t key = key_of(text.last(static_cast<size_t>(n)));
    const Entry& entry = entries_[key % entries_.size()];
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

void NgramTable::guess(std::span<Draft> drafts) {
  for (Draft& draft : drafts) {
    learn(draft.sequence, draft.text);
    std::vector<int32_t> text = draft.text;
    while (std::ssize(draft.guesses) < draft.most) {
      const Entry* entry = find(text);
      if (entry == nullptr) break;
      draft.guesses.push_back(entry->next);
      text.push_back(entry->next);
    }
  }
}

void NgramTable::forget(int64_t sequence, std::span<const int32_t> text) {
  learn(sequence, text);
  learned_.erase(sequence);
}

}  // namespace lathe
