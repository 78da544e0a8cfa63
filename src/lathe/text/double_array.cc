#include "lathe/text/double_array.h"

#include <array>
#include <bit>
#include <unordered_map>

#include "lathe/base/error.h"
#include "lathe/text/vocabulary.h"

namespace lathe {

// Places the nodes of the trie one after the other, a node's children before those of its next
// sibling, so that the tail of a word lies together.
//
// The children of a node take the units base ^ label, all in one block of 256 units. A block knows
// which of its units are free, and the bases b that fit a set of labels are
//
//     ⋂ over the labels l of { b : b ^ l is free }
//
// where each set is the block's map of free units with its bits permuted: whole words by the high
// two bits of l, and within a word by swapping neighbours, pairs, … for each of the low six.
class DoubleArrayBuilder {
 public:
  DoubleArrayBuilder(std::span<const DoubleArray::Entry> entries, DoubleArray::Shared shared)
      : entries_(entries), shares_tails_(shared == DoubleArray::Shared::kTails) {}

  std::vector<uint32_t> build() {
    if (entries_.empty()) return {};
    check_entries();
    open_block();
    take(0);                        // the root, whose label is 0:
    blocks_[0].used_bases[0] |= 1;  // the byte 0 would lead to it from the base 0
    place({0, 0, entries_.size(), 0});
    while (!nodes_.empty()) {
      const Range node = nodes_.back();
      nodes_.pop_back();
      place(node);
    }
    for (size_t b = 0; b < blocks_.size(); ++b) label_free_units(b);
    return std::move(units_);
  }

 private:
  using Bits = std::array<uint64_t, 4>;
  static constexpr size_t kBlock = 256;
  static constexpr uint64_t kAll = ~uint64_t{0};
  static constexpr int kMaxMisses = 16;
  struct Block {
    Bits free{kAll, kAll, kAll, kAll};
    Bits used_bases{};  // two nodes with one base would share their children
    int misses = 0;
  };
  // The entries [begin, end) agree in their first `depth` bytes, which lead to `unit`.
  struct Range {
    size_t unit, begin, end, depth;
  };

  void check_entries() const {
    constexpr std::string_view kWhere = "trie";
    for (size_t i = 0; i < entries_.size(); ++i) {
      const auto& [key, value] = entries_[i];
      require(!key.empty() && key.find('\0') == std::string_view::npos && value >= 0,
              ErrorKind::kFormat, kWhere,
              "key '{}' has value {}; a key must not be empty nor contain the byte 0, and a value "
              "must not be negative",
              key, value);
      require(i == 0 || entries_[i - 1].key < key, ErrorKind::kFormat, kWhere,
              "key '{}' comes twice or does not come behind '{}'", key,
              i == 0 ? "" : entries_[i - 1].key);
    }
  }

  // Gives the children of a node their units and puts them on the stack, the first child on top.
  void place(const Range& node) {
    if (shares_tails_ && place_shared(node)) return;
    if (!shares_tails_ && node.end - node.begin == 1) return place_rest(node);
    children_.clear();
    size_t begin = node.begin;
    const bool leaf = entries_[begin].key.size() == node.depth;
    begin += leaf;
    for (size_t i = begin; i < node.end; i = children_.back().end) {
      const auto label = static_cast<uint8_t>(entries_[i].key[node.depth]);
      size_t end = i + 1;
      while (end < node.end && static_cast<uint8_t>(entries_[end].key[node.depth]) == label) ++end;
      children_.push_back({label, i, end, node.depth + 1});
    }
    const size_t base = find_base(node.unit, leaf);
    set_offset(node.unit, base);
    if (shares_tails_) tails_.emplace(hash_of_tails(node), Tails{node, base});
    if (leaf) {
      take(base);
      units_[node.unit] |= DoubleArray::kHasLeaf;
      units_[base] = DoubleArray::kLeaf | static_cast<uint32_t>(entries_[node.begin].value);
    }
    for (size_t i = children_.size(); i-- > 0;) {
      Range& child = children_[i];
      const size_t label = child.unit;
      child.unit = base ^ label;
      take(child.unit);
      units_[child.unit] = static_cast<uint32_t>(label);
      nodes_.push_back(child);
    }
  }

  // The same for the rest of a key that no other shares.
  void place_rest(const Range& node) {
    const auto& [key, value] = entries_[node.begin];
    size_t unit = node.unit;
    for (size_t depth = node.depth; depth < key.size(); ++depth) {
      const size_t label = static_cast<uint8_t>(key[depth]);
      children_.assign(1, {label, node.begin, node.end, depth + 1});
      const size_t base = find_base(unit, false);
      set_offset(unit, base);
      unit = base ^ label;
      take(unit);
      units_[unit] = static_cast<uint32_t>(label);
    }
    children_.clear();
    const size_t base = find_base(unit, true);
    set_offset(unit, base);
    take(base);
    units_[unit] |= DoubleArray::kHasLeaf;
    units_[base] = DoubleArray::kLeaf | static_cast<uint32_t>(value);
  }

  // What stands below a node: the rest of its keys and their values.
  struct Tails {
    Range node;
    size_t base;
  };
  std::string_view tail(size_t entry, const Range& node) const {
    return entries_[entry].key.substr(node.depth);
  }
  uint64_t hash_of_tails(const Range& node) const {
    uint64_t h = node.end - node.begin;
    for (size_t i = node.begin; i < node.end; ++i)
      h = (h ^ hash_bytes(tail(i, node)) ^ static_cast<uint32_t>(entries_[i].value)) *
          0x9E3779B97F4A7C15ull;
    return h;
  }
  bool same_tails(const Range& a, const Range& b) const {
    if (a.end - a.begin != b.end - b.begin) return false;
    for (size_t i = 0; i < a.end - a.begin; ++i)
      if (tail(a.begin + i, a) != tail(b.begin + i, b) ||
          entries_[a.begin + i].value != entries_[b.begin + i].value)
        return false;
    return true;
  }
  // Gives a node the children of another one, if one has the same.
  bool place_shared(const Range& node) {
    const auto [first, last] = tails_.equal_range(hash_of_tails(node));
    for (auto at = first; at != last; ++at) {
      const Tails& other = at->second;
      if (!is_reachable(node.unit, other.base) || !same_tails(node, other.node)) continue;
      set_offset(node.unit, other.base);
      if (tail(node.begin, node).empty()) units_[node.unit] |= DoubleArray::kHasLeaf;
      return true;
    }
    return false;
  }

  // A base that fits the labels of children_, and the label 0 too if there is a `leaf`. A block that
  // has failed kMaxMisses times is looked at no more, so that time is linear.
  size_t find_base(size_t unit, bool leaf) {
    for (size_t i = 0; i < open_.size();) {
      const size_t base = first_fit(open_[i], unit, leaf);
      if (base != kNoBase) return base;
      Block& block = blocks_[open_[i]];
      if (++block.misses < kMaxMisses) {
        ++i;
      } else {
        open_.erase(open_.begin() + static_cast<ptrdiff_t>(i));
      }
    }
    open_block();
    return first_fit(blocks_.size() - 1, unit, leaf);
  }

  // An offset has 21 bits, either its lowest or, with 8 zero bits below, its highest. In a fresh
  // block some base always is reachable: the one whose low byte is the unit's.
  static constexpr size_t kNoBase = ~size_t{0};
  size_t first_fit(size_t block, size_t unit, bool leaf) const {
    for (size_t w = 0; w < 4; ++w) {
      for (uint64_t left = fitting_bases(blocks_[block], w, leaf); left != 0; left &= left - 1) {
        const size_t base = block * kBlock + w * 64 + static_cast<size_t>(std::countr_zero(left));
        if (is_reachable(unit, base)) return base;
      }
    }
    return kNoBase;
  }

  // Word `w` of the bases that fit.
  uint64_t fitting_bases(const Block& block, size_t w, bool leaf) const {
    uint64_t fits = ~block.used_bases[w] & (leaf ? block.free[w] : kAll);
    for (const Range& child : children_) {
      if (fits == 0) break;
      fits &= permuted(block.free[w ^ (child.unit >> 6)], child.unit & 63);
    }
    return fits;
  }

  static bool is_reachable(size_t unit, size_t base) {
    const size_t offset = base ^ unit;
    return offset < (size_t{1} << 21) || (offset & 0xFF) == 0;
  }

  void set_offset(size_t unit, size_t base) {
    const size_t offset = base ^ unit;
    const bool shifted = offset >= (size_t{1} << 21);
    require(offset < (size_t{1} << 29), ErrorKind::kData, "trie",
            "the keys need more than {} units; expected fewer or shorter keys", size_t{1} << 29);
    units_[unit] |= static_cast<uint32_t>(shifted ? offset >> 8 << 10 : offset << 10) |
                    (shifted ? DoubleArray::kShifted : 0);
    Bits& used = blocks_[base / kBlock].used_bases;
    used[base / 64 % 4] |= uint64_t{1} << (base & 63);
  }

  void take(size_t unit) {
    blocks_[unit / kBlock].free[unit / 64 % 4] &= ~(uint64_t{1} << (unit & 63));
  }
  void open_block() {
    open_.push_back(blocks_.size());
    blocks_.emplace_back();
    units_.resize(blocks_.size() * kBlock, 0);
  }

  // { b : b ^ label is in `word` }.
  static uint64_t permuted(uint64_t word, size_t label) {
    static constexpr uint64_t kLower[6] = {0x5555555555555555, 0x3333333333333333,
                                           0x0F0F0F0F0F0F0F0F, 0x00FF00FF00FF00FF,
                                           0x0000FFFF0000FFFF, 0x00000000FFFFFFFF};
    if (word == 0 || word == kAll) return word;
    for (int i = 0; i < 6; ++i) {
      if ((label >> i & 1) == 0) continue;
      const int shift = 1 << i;
      word = (word >> shift & kLower[i]) | (word & kLower[i]) << shift;
    }
    return word;
  }

  // A free unit must not be taken for a child. Its label leads to it from one base only, and some
  // base of the block belongs to no node: each of those has a child in the block.
  void label_free_units(size_t b) {
    const Block& block = blocks_[b];
    size_t idle = 0;
    while (idle < kBlock && (block.used_bases[idle / 64] >> (idle & 63) & 1) != 0) ++idle;
    for (size_t i = 0; i < kBlock; ++i)
      if ((block.free[i / 64] >> (i & 63) & 1) != 0)
        units_[b * kBlock + i] = static_cast<uint32_t>(i ^ idle);
  }

  std::span<const DoubleArray::Entry> entries_;
  const bool shares_tails_;
  std::unordered_multimap<uint64_t, Tails> tails_;  // of nodes whose children have units
  std::vector<uint32_t> units_;
  std::vector<Block> blocks_;
  std::vector<size_t> open_;     // ascending
  std::vector<Range> nodes_;     // whose children have no units yet
  std::vector<Range> children_;  // of the present node; `unit` is the label at first
};

DoubleArray DoubleArray::build(std::span<const Entry> entries, Shared shared) {
  return DoubleArray(DoubleArrayBuilder(entries, shared).build());
}

int32_t DoubleArray::find(std::string_view key) const {
  if (empty()) return kNone;
  Node node = root();
  for (const uint8_t byte : key)
    if (!step(node, byte)) return kNone;
  return node.value;
}

}  // namespace lathe
