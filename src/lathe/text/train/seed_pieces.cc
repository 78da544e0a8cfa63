// A suffix tree is a sorted list of suffixes with the lengths of the prefixes that neighbours
// share: one pass with a stack of open nodes yields them all (Kasai et al. 2001).
#include "lathe/text/train/seed_pieces.h"

#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr int kBuckets = 1 << 16;

bool begins_character(char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }

size_t bucket_of(const std::string& text, size_t at) {
  return static_cast<size_t>(static_cast<uint8_t>(text[at])) << 8 |
         static_cast<uint8_t>(text[at + 1]);
}

int64_t characters_in(std::string_view piece) {
  return std::count_if(piece.begin(), piece.end(), begins_character);
}

// A suffix with its next eight bytes, the first of them highest, for comparing them at once.
struct Suffix {
  uint64_t key;
  uint32_t at;
  bool operator<(const Suffix& o) const { return key != o.key ? key < o.key : at < o.at; }
};

// Suffixes by bucket; in a bucket by position.
struct Buckets {
  std::vector<uint32_t> suffixes;
  std::vector<uint32_t> begins;  // kBuckets + 1
};

Buckets sort_into_buckets(const std::string& text) {
  Buckets b;
  b.begins.assign(kBuckets + 1, 0);
  const auto each_suffix = [&](auto&& f) {
    for (size_t at = 1; at + 1 < text.size(); ++at)
      if (text[at] != '\0' && begins_character(text[at])) f(at);
  };
  each_suffix([&](size_t at) { ++b.begins[bucket_of(text, at) + 1]; });
  for (int i = 0; i < kBuckets; ++i) b.begins[i + 1] += b.begins[i];
  b.suffixes.resize(b.begins[kBuckets]);
  std::vector<uint32_t> next(b.begins.begin(), b.begins.end() - 1);
  each_suffix(
      [&](size_t at) { b.suffixes[next[bucket_of(text, at)]++] = static_cast<uint32_t>(at); });
  return b;
}

// Works on one bucket at a time; of one thread.
class BucketScanner {
 public:
  BucketScanner(const WordList& words, int32_t longest, int64_t once)
      : words_(words), text_(words.text()), longest_(longest), once_(once) {}

  // Appends the nodes of a bucket in the order of their strings' ends.
  void scan(const uint32_t* begin, const uint32_t* end, std::vector<SeedPiece>& out) {
    sorted_.clear();
    for (const uint32_t* at = begin; at < end; ++at) sorted_.push_back({0, *at});
    sort(0, sorted_.size(), 0);
    open_.clear();
    std::string_view previous;
    for (const Suffix& s : sorted_) {
      const std::string_view suffix = bounded(s.at);
      close(shared(previous, suffix), out);
      const int64_t word = words_.word_at(s.at), count = words_.count(word);
      open(suffix, s.at, count,
           s.at == begin_of(word) && suffix.size() == words_.word(word).size());
      previous = suffix;
    }
    close(0, out);
  }

 private:
  struct Node {
    size_t length;
    uint32_t at;
    int64_t count;
    bool piece;  // more than one suffix, or a whole word
  };

  size_t begin_of(int64_t word) const {
    return static_cast<size_t>(words_.word(word).data() - text_.data());
  }

  // The suffix as far as a piece may reach.
  std::string_view bounded(size_t at) const {
    size_t end = at;
    for (int32_t n = 0; text_[end] != '\0'; ++end)
      if (begins_character(text_[end]) && n++ == longest_) break;
    return std::string_view(text_).substr(at, end - at);
  }

  static size_t shared(std::string_view a, std::string_view b) {
    size_t n = static_cast<size_t>(
        std::mismatch(a.begin(),
                      a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())),
                      b.begin())
            .first -
        a.begin());
    while (n > 0 && n < b.size() && !begins_character(b[n])) --n;
    return n;
  }

  // Sorts by the bytes from `depth` on, until all differ or end or are long enough.
  void sort(size_t begin, size_t end, size_t depth) {
    for (size_t i = begin; i < end; ++i) sorted_[i].key = key_at(sorted_[i].at, depth);
    std::sort(sorted_.begin() + static_cast<std::ptrdiff_t>(begin),
              sorted_.begin() + static_cast<std::ptrdiff_t>(end));
    const size_t next = depth + 8;
    if (next >= static_cast<size_t>(longest_) * 4) return;
    for (size_t i = begin; i < end;) {
      size_t j = i + 1;
      while (j < end && sorted_[j].key == sorted_[i].key) ++j;
      if (j - i > 1 && (sorted_[i].key & 0xFF) != 0) sort(i, j, next);
      i = j;
    }
  }

  // Zero from the end of the word on.
  uint64_t key_at(size_t at, size_t depth) const {
    uint64_t key = 0;
    const char* p = text_.data() + at + depth;
    for (int i = 0; i < 8; ++i) {
      const auto byte = static_cast<uint8_t>(*p);
      key = key << 8 | byte;
      if (byte != 0) ++p;
    }
    return key;
  }

  void open(std::string_view suffix, uint32_t at, int64_t count, bool whole_word) {
    if (!open_.empty() && open_.back().length == suffix.size()) {
      open_.back().count += count;
      open_.back().piece = true;
    } else {
      open_.push_back({suffix.size(), at, count, whole_word && count > once_});
    }
  }

  // Closes the nodes that are longer than `length`, and counts them in with what they begin with.
  void close(size_t length, std::vector<SeedPiece>& out) {
    while (!open_.empty() && open_.back().length > length) {
      const Node node = open_.back();
      open_.pop_back();
      emit(node, out);
      if (length == 0 && open_.empty()) return;
      if (!open_.empty() && open_.back().length >= length) {
        open_.back().count += node.count;
        open_.back().piece = true;
      } else {
        open_.push_back({length, node.at, node.count, true});
      }
    }
  }

  void emit(const Node& node, std::vector<SeedPiece>& out) const {
    if (!node.piece) return;
    const int64_t characters = characters_in(std::string_view(text_).substr(node.at, node.length));
    if (characters < 2) return;
    out.push_back({node.at, static_cast<uint16_t>(node.length),
                   static_cast<double>(node.count) * static_cast<double>(characters)});
  }

  const WordList& words_;
  const std::string& text_;
  int32_t longest_;
  int64_t once_;
  std::vector<Suffix> sorted_;
  std::vector<Node> open_;
};

// The best `limit`, best first.
void keep_best(std::vector<SeedPiece>& pieces, const std::string& text, int64_t limit) {
  const auto better = [&](const SeedPiece& a, const SeedPiece& b) {
    if (a.score != b.score) return a.score > b.score;
    const std::string_view all = text;
    return all.substr(a.at, a.length) < all.substr(b.at, b.length);
  };
  const auto kept = std::min<int64_t>(limit, static_cast<int64_t>(pieces.size()));
  if (kept < static_cast<int64_t>(pieces.size()))
    std::nth_element(pieces.begin(), pieces.begin() + kept, pieces.end(), better);
  pieces.resize(static_cast<size_t>(kept));
}

}  // namespace

std::vector<SeedPiece> seed_pieces(const WordList& words, int32_t longest, int64_t limit,
                                   int64_t once) {
  const std::string& text = words.text();
  const Buckets buckets = sort_into_buckets(text);
  // Neighbouring buckets together, so that there are parts of some size.
  constexpr uint32_t kPart = 1 << 16;
  std::vector<int> part_begins = {0};
  for (int b = 0; b < kBuckets; ++b)
    if (buckets.begins[b + 1] - buckets.begins[part_begins.back()] >= kPart)
      part_begins.push_back(b + 1);
  part_begins.push_back(kBuckets);
  std::vector<std::vector<SeedPiece>> found(part_begins.size() - 1);
  parallel_dynamic(static_cast<int64_t>(found.size()), [&](int64_t part, int) {
    BucketScanner scanner(words, longest, once);
    for (int b = part_begins[part]; b < part_begins[part + 1]; ++b) {
      const uint32_t* suffixes = buckets.suffixes.data();
      scanner.scan(suffixes + buckets.begins[b], suffixes + buckets.begins[b + 1], found[part]);
    }
    keep_best(found[part], text, limit);
  });
  std::vector<SeedPiece> all;
  for (std::vector<SeedPiece>& part : found) {
    all.insert(all.end(), part.begin(), part.end());
    std::vector<SeedPiece>().swap(part);
    if (static_cast<int64_t>(all.size()) > 2 * limit) keep_best(all, text, limit);
  }
  keep_best(all, text, limit);
  return all;
}

}  // namespace lathe
