#include "lathe/text/added_tokens.h"

#include <algorithm>
#include <map>

#include "lathe/text/split/char_class.h"

namespace lathe {
namespace {

// \w in the sense of `tokenizers`: letters, numbers, marks and connectors such as '_'.
bool is_word(char32_t c) {
  return c == '_' || (CharClasses::get().of(c) & (kLetter | kNumber | kMark));
}

bool is_space(char32_t c) { return CharClasses::get().of(c) & kSpace; }

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(const std::vector<std::string>& texts,
                                     const std::vector<AddedToken>& tokens)
    : texts_(texts), tokens_(tokens), begin_pairs_(65536 / 64, 0) {
  // The trie is built over the sorted texts: a node is a range of them that share a prefix.
  std::map<std::string_view, int32_t> sorted;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (texts_[i].empty()) continue;
    sorted.try_emplace(texts_[i], static_cast<int32_t>(i));
    longest_ = std::max(longest_, texts_[i].size());
  }
  const std::vector<std::pair<std::string_view, int32_t>> list(sorted.begin(), sorted.end());
  struct Range {
    size_t begin, end, depth;
    int32_t node;
  };
  nodes_.emplace_back();
  std::vector<Range> queue = {{0, list.size(), 0, 0}};
  for (size_t i = 0; i < queue.size(); ++i) {
    Range r = queue[i];
    if (r.begin < r.end && list[r.begin].first.size() == r.depth)
      nodes_[r.node].token = list[r.begin++].second;
    nodes_[r.node].first_edge = static_cast<int32_t>(edges_.size());
    while (r.begin < r.end) {
      const char byte = list[r.begin].first[r.depth];
      size_t end = r.begin;
      while (end < r.end && list[end].first[r.depth] == byte) ++end;
      const auto target = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      edges_.push_back({static_cast<uint8_t>(byte), target});
      queue.push_back({r.begin, end, r.depth + 1, target});
      ++nodes_[r.node].edge_count;
      r.begin = end;
    }
  }
  for (const auto& [text, index] : list) {
    const uint8_t a = as_bytes(text)[0];
    for (uint32_t b = 0; b < 256; ++b) {
      if (text.size() > 1 && as_bytes(text)[1] != b) continue;
      begin_pairs_[(a << 8 | b) >> 6] |= uint64_t{1} << (b & 63);
    }
  }
}

int32_t AddedTokenMatcher::child(int32_t node, uint8_t byte) const {
  const auto first = edges_.begin() + nodes_[node].first_edge;
  const auto last = first + nodes_[node].edge_count;
  const auto at =
      std::lower_bound(first, last, byte, [](const Edge& e, uint8_t b) { return e.byte < b; });
  return at != last && at->byte == byte ? at->target : -1;
}

// Index of the longest token that begins at `at`, or -1.
int32_t AddedTokenMatcher::longest_at(std::string_view text, size_t at) const {
  const uint8_t* p = as_bytes(text);
  if (at + 1 < text.size() && !may_begin(p + at)) return -1;
  int32_t best = -1;
  int32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    node = child(node, p[i]);
    if (node < 0) break;
    if (nodes_[node].token >= 0) best = nodes_[node].token;
  }
  return best;
}

// A match at [begin, end): applies the token's flags and appends what comes of it. `from` is the
// end of the last segment.
void AddedTokenMatcher::segment(std::string_view text, size_t begin, size_t end,
                                const AddedToken& token, size_t& from,
                                std::vector<Segment>& out) const {
  const uint8_t *first = as_bytes(text), *last = first + text.size();
  if (token.single_word) {
    if (begin > 0 && is_word(decode_utf8_before(first, first + begin).value)) return;
    if (end < text.size() && is_word(decode_utf8(first + end, last).value)) return;
  }
  if (token.lstrip) {
    while (begin > from) {
      const CodePoint c = decode_utf8_before(first, first + begin);
      if (!is_space(c.value)) break;
      begin -= c.size;
    }
    begin = std::max(begin, from);
  }
  if (token.rstrip)
    end = static_cast<size_t>(CharClasses::get().skip(first + end, last, kSpace) - first);
  if (from < begin) out.push_back({from, begin, -1});
  out.push_back({begin, end, token.id});
  from = end;
}

void AddedTokenMatcher::find(std::string_view text, bool special_as_text,
                             std::vector<Segment>& out) const {
  size_t from = 0;
  if (!tokens_.empty()) {
    const uint8_t* p = as_bytes(text);
    for (size_t i = 0; i < text.size();) {
      // Two bytes are looked at, always: a branch on one, such as the space that many tokens begin
      // with, is guessed wrong at every word.
      while (i + 1 < text.size() && !may_begin(p + i)) ++i;
      const int32_t found = longest_at(text, i);
      if (found < 0) {
        ++i;
        continue;
      }
      const size_t end = i + texts_[found].size();
      if (!(special_as_text && tokens_[found].special))
        segment(text, i, end, tokens_[found], from, out);
      i = end;
    }
  }
  if (from < text.size()) out.push_back({from, text.size(), -1});
}

bool AddedTokenMatcher::crosses(std::string_view text, size_t at) const {
  for (size_t back = 1; back < longest_ && back <= at; ++back) {
    // The longest candidate is the one that reaches furthest.
    const int32_t found = longest_at(text, at - back);
    if (found >= 0 && texts_[found].size() > back) return true;
  }
  return false;
}

}  // namespace lathe
