// Why a text may be cut into blocks, and where.
//
// A cut is made before a character that is neither letter, number, mark nor apostrophe, and behind
// a letter. In none of the catalogue's patterns does a piece hold a letter followed by such a
// character, so every scan of the whole text has a boundary there, however it got there. The piece
// that ends at the cut is a run of letters (with what precedes it), whose scan stops the same way
// at the end of the block as at that character: no branch that ends in a letter looks further
// ahead, except for o200k's optional contraction, which needs the apostrophe. And scanners never
// look back. So the pieces of the blocks are the pieces of the text. A special token that could lie
// across the cut rules the place out.
#include "lathe/text/train/word_counts.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/text/split/char_class.h"
#include "lathe/text/vocabulary.h"

namespace lathe {
namespace {

constexpr size_t kChunk = size_t{256} << 10;

std::vector<AddedToken> as_added(std::span<const std::string> texts) {
  std::vector<AddedToken> tokens(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    tokens[i].id = static_cast<int32_t>(i);
    tokens[i].content = texts[i];
  }
  return tokens;
}

}  // namespace

WordCounts::WordCounts() : table_(1024) {}

char* WordCounts::store(std::string_view word) {
  if (word.size() > chunk_left_) {
    chunk_left_ = std::max(kChunk, word.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_left_));
    chunk_at_ = chunks_.back().get();
  }
  char* at = chunk_at_;
  std::memcpy(at, word.data(), word.size());
  chunk_at_ += word.size();
  chunk_left_ -= word.size();
  return at;
}

void WordCounts::add(std::string_view word, uint64_t hash, int64_t count) {
  const auto short_hash = static_cast<uint32_t>(hash);
  Entry& e = table_.find(short_hash, [&](const Entry& other) {
    return other.hash == short_hash && other.word() == word;
  });
  if (!e.free()) {
    e.count += count;
    return;
  }
  require(word.size() < UINT32_MAX, ErrorKind::kData, "train",
          "a single word of {} bytes, expected less than 4 GiB", word.size());
  e = {store(word), count, static_cast<uint32_t>(word.size()), short_hash};
  cost_ += static_cast<int64_t>(word.size()) + 1;
  if (++used_ * 4 > table_.slots().size() * 3)
    table_.grow([](const Entry& entry) { return entry.hash; });
}

void WordCounts::add_all(const WordCounts& other) {
  other.for_each([this](const Entry& e) { add(e.word(), e.hash, e.count); });
}

void WordCounts::clear() { *this = WordCounts(); }

int64_t WordCounts::forget(int64_t k) {
  WordCounts kept;
  int64_t lost = 0;
  for_each([&](const Entry& e) {
    if (e.count > k) {
      kept.add(e.word(), e.hash, e.count);
    } else {
      lost += e.count;
    }
  });
  *this = std::move(kept);
  return lost;
}

CorpusCounts::CorpusCounts(Pattern pattern, std::span<const std::string> special_tokens,
                           int64_t limit, size_t round_bytes)
    : next_(pattern_info(pattern).next),
      specials_({special_tokens.begin(), special_tokens.end()}, as_added(special_tokens)),
      limit_(limit),
      shards_(kShards),
      round_bytes_(round_bytes),
      next_round_(round_bytes) {
  for (const std::string& token : special_tokens)
    longest_special_ = std::max(longest_special_, token.size());
}

int64_t CorpusCounts::distinct() const {
  int64_t n = 0;
  for (const WordCounts& shard : shards_) n += shard.size();
  return n;
}

int64_t CorpusCounts::cost() const {
  int64_t n = 0;
  for (const WordCounts& shard : shards_) n += shard.cost();
  return n;
}

size_t CorpusCounts::safe_cut(std::string_view text, size_t from) const {
  const CharClasses& classes = CharClasses::get();
  const uint8_t *begin = as_bytes(text), *end = begin + text.size();
  for (size_t at = std::max<size_t>(from, 1); at < text.size(); ++at) {
    if ((begin[at] & 0xC0) == 0x80 || begin[at] == '\'') continue;
    const uint8_t next = classes.of(decode_utf8(begin + at, end).value);
    if (next & (kLetter | kNumber | kMark)) continue;
    const CodePoint previous = decode_utf8_before(begin, begin + at);
    if (!(classes.of(previous.value) & kLetter)) continue;
    if (specials_.empty() || !specials_.crosses(text, at)) return at;
  }
  return text.size();
}

void CorpusCounts::count_text(std::string_view text, std::vector<WordCounts>& into,
                              int64_t* words) const {
  static_assert(kShards == 16, "the shard is taken from the top four bits of the hash");
  std::vector<AddedTokenMatcher::Segment> segments;
  specials_.find(text, false, segments);
  for (const AddedTokenMatcher::Segment& s : segments) {
    if (s.id >= 0) continue;
    const uint8_t *p = as_bytes(text) + s.begin, *end = as_bytes(text) + s.end;
    while (p < end) {
      const uint8_t* q = next_(p, end);
      const std::string_view word(reinterpret_cast<const char*>(p), static_cast<size_t>(q - p));
      const uint64_t hash = hash_bytes(word);
      into[hash >> 60].add(word, hash, 1);
      ++*words;
      p = q;
    }
  }
}

void CorpusCounts::add(std::string_view piece) {
  if (gathered_.empty()) gathered_.reserve(round_bytes_);
  bytes_ += static_cast<int64_t>(piece.size());
  while (!piece.empty()) {
    const size_t n = std::min(piece.size(), next_round_ - gathered_.size());
    gathered_ += piece.substr(0, n);
    piece.remove_prefix(n);
    if (gathered_.size() == next_round_) count_round();
  }
}

void CorpusCounts::end_text() { ends_.push_back(gathered_.size()); }

void CorpusCounts::finish() {
  end_text();
  count_blocks(blocks_of(gathered_.size()));
  gathered_ = std::string();
  ends_.clear();
}

// Counts all but the end of the unfinished text, which the next bytes may still belong to.
void CorpusCounts::count_round() {
  const size_t begin = ends_.empty() ? 0 : ends_.back();
  const size_t counted = begin + last_cut(std::string_view(gathered_).substr(begin));
  count_blocks(blocks_of(counted));
  gathered_.erase(0, counted);
  ends_.clear();
  next_round_ = std::max(round_bytes_, gathered_.size() * 2);
  require(gathered_.size() < kLongestWord, ErrorKind::kData, "train",
          "{} bytes in a row contain no end of a word, which does not occur in text; leave this "
          "file out",
          gathered_.size());
}

// Near the end of a text that goes on. What decides about a cut lies at most a character or a
// special token behind it. 0 when there is none.
size_t CorpusCounts::last_cut(std::string_view text) const {
  constexpr size_t kLongestCharacter = 4;
  const size_t margin = std::max(longest_special_, kLongestCharacter);
  for (size_t back = kBlockBytes / 16; text.size() > margin; back *= 4) {
    const size_t from = text.size() - std::min(text.size() - 1, margin + back);
    const size_t cut = safe_cut(text, from);
    if (cut + margin <= text.size()) return cut;
    if (back >= text.size()) break;
  }
  return 0;
}

// The gathered texts up to `end`, long ones cut and short ones together.
std::vector<CorpusCounts::Block> CorpusCounts::blocks_of(size_t end) const {
  std::vector<Block> blocks(1);
  size_t in_block = 0;
  const auto put = [&](std::string_view text) {
    if (in_block >= kBlockBytes) {
      blocks.emplace_back();
      in_block = 0;
    }
    blocks.back().push_back(text);
    in_block += text.size();
  };
  size_t begin = 0;
  const auto put_text = [&](size_t text_end) {
    std::string_view text = std::string_view(gathered_).substr(begin, text_end - begin);
    begin = text_end;
    while (!text.empty()) {
      const size_t cut = text.size() <= kBlockBytes ? text.size() : safe_cut(text, kBlockBytes);
      put(text.substr(0, cut));
      text.remove_prefix(cut);
    }
  };
  for (const size_t text_end : ends_) put_text(text_end);
  put_text(end);
  return blocks;
}

void CorpusCounts::count_blocks(const std::vector<Block>& blocks) {
  const int threads = thread_count();
  std::vector<std::vector<WordCounts>> local(threads);
  for (std::vector<WordCounts>& shards : local) shards.resize(kShards);
  std::vector<int64_t> words(threads, 0);
  parallel_dynamic(static_cast<int64_t>(blocks.size()), [&](int64_t i, int thread) {
    for (const std::string_view text : blocks[i]) count_text(text, local[thread], &words[thread]);
  });
  parallel_dynamic(kShards, [&](int64_t shard, int) {
    for (std::vector<WordCounts>& counts : local) {
      shards_[shard].add_all(counts[shard]);
      counts[shard].clear();
    }
  });
  for (int64_t n : words) words_ += n;
  enforce_limit();
}

void CorpusCounts::enforce_limit() {
  if (cost() <= limit_) return;
  // What is kept for every k: the cost of words by count, the last bin for all higher counts.
  constexpr int64_t kBins = 1 << 16;
  std::vector<int64_t> cost_of(kBins + 1, 0);
  for (const WordCounts& shard : shards_) {
    shard.for_each([&](const WordCounts::Entry& e) {
      cost_of[std::min(e.count, kBins)] += int64_t{e.length} + 1;
    });
  }
  int64_t left = cost(), k = 0;
  while (left > limit_ / 2 && k < kBins) left -= cost_of[++k];
  for (WordCounts& shard : shards_) forgotten_ += shard.forget(k);
}

}  // namespace lathe
