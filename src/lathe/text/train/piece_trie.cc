#include "lathe/text/train/piece_trie.h"

namespace lathe {
namespace {

constexpr int32_t kBlock = 256;
constexpr int32_t kTaken = -2;  // in next_

}  // namespace

// Free slots are a ring of links through slot 0, so that a node with a single child, which most
// are, takes the first free slot.
class TrieBuilder {
 public:
  TrieBuilder(std::span<const std::string_view> pieces, std::vector<PieceTrie::Node>& nodes)
      : pieces_(pieces), nodes_(nodes) {
    add_block();
    take(0);
    next_[0] = after_root_;
    build(0, 0, pieces.size(), 0);
  }

 private:
  struct Child {
    uint8_t byte;
    size_t begin, end;  // of pieces
  };

  void add_block() {
    const auto first = static_cast<int32_t>(nodes_.size());
    nodes_.resize(nodes_.size() + kBlock);
    next_.resize(nodes_.size());
    previous_.resize(nodes_.size());
    for (int32_t slot = first; slot < first + kBlock; ++slot) {
      previous_[slot] = last_free_;
      next_[slot] = 0;
      if (last_free_ >= 0) next_[last_free_] = slot;
      last_free_ = slot;
    }
  }

  void take(int32_t slot) {
    const int32_t before = previous_[slot], after = next_[slot];
    if (slot == 0) {
      after_root_ = after;
      return;
    }
    next_[before] = after;
    if (after != 0)
      previous_[after] = before;
    else
      last_free_ = before;
    next_[slot] = kTaken;
  }

  bool free(int32_t slot) const { return slot != 0 && next_[slot] != kTaken; }

  // A base at which all the children's slots are free.
  int32_t find_base(const std::vector<Child>& children) {
    constexpr int kTries = 32;
    int32_t slot = next_[0];
    for (int tries = 0; slot != 0 && tries < kTries; ++tries, slot = next_[slot]) {
      const int32_t base = slot ^ children[0].byte;
      bool fits = true;
      for (const Child& c : children) fits = fits && free(base ^ c.byte);
      if (fits) return base;
    }
    const auto base = static_cast<int32_t>(nodes_.size());
    add_block();
    return base;
  }

  // The pieces [begin, end) share their first `depth` bytes, which lead to `node`.
  void build(int32_t node, size_t begin, size_t end, size_t depth) {
    if (begin < end && pieces_[begin].size() == depth) {
      nodes_[node].piece = static_cast<int32_t>(begin);
      ++begin;
    }
    if (begin == end) return;
    std::vector<Child> children;
    for (size_t i = begin; i < end; ++i) {
      const auto byte = static_cast<uint8_t>(pieces_[i][depth]);
      if (children.empty() || children.back().byte != byte) children.push_back({byte, i, i});
      children.back().end = i + 1;
    }
    const int32_t base = find_base(children);
    nodes_[node].base = base;
    for (const Child& c : children) {
      take(base ^ c.byte);
      nodes_[base ^ c.byte].parent = node;
    }
    for (const Child& c : children) build(base ^ c.byte, c.begin, c.end, depth + 1);
  }

  std::span<const std::string_view> pieces_;
  std::vector<PieceTrie::Node>& nodes_;
  std::vector<int32_t> next_, previous_;
  int32_t last_free_ = -1, after_root_ = 0;
};

PieceTrie::PieceTrie(std::span<const std::string_view> pieces) { TrieBuilder(pieces, nodes_); }

}  // namespace lathe
