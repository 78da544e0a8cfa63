// A trie over byte strings in one array of 32-bit units: a double-array trie (Aoe 1989, "An
// Efficient Digital Search Algorithm by Using a Double-Array Structure").
//
// The units are those of the library Darts-clone, because SentencePiece's compiled character maps
// contain them. From a node with base b the byte c leads to unit b ^ c if that unit's label is c:
//
//     bits 0–7  the label; bit 31 counts to it, so that no byte leads to a leaf
//     bit 8     whether a key ends at the node; its value is in the leaf, unit b ^ 0
//     bit 9     whether bits 10–30 are the offset's upper bits (they are shifted left by 8)
//     10–30     the offset: b is the unit's own index ^ the offset
//     a leaf    bit 31 and the value in bits 0–30
//
// No key is empty and none contains the byte 0, whose label is the leaves' place.
//
// Units of unknown origin may be searched: an index outside of the array leads nowhere, and a
// search takes at most one step for each byte of the text. Immutable, hence thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe {

class DoubleArray {
 public:
  static constexpr int32_t kNone = -1;

  // Without keys.
  DoubleArray() = default;
  explicit DoubleArray(std::vector<uint32_t> units) : units_(std::move(units)) {}

  struct Entry {
    std::string_view key;
    int32_t value = 0;  // not negative
  };
  // `entries` in ascending order of their keys (as unsigned bytes). Throws kFormat for a key that
  // is empty, contains a zero byte or comes twice, for a wrong order and for a negative value.
  // Takes O(bytes of the keys) for keys of text.
  //
  // Where many keys have equal values and end alike, as in character maps, kTails makes the array
  // several times smaller: nodes with equal keys and values below them have the same children.
  enum class Shared : uint8_t { kNothing, kTails };
  static DoubleArray build(std::span<const Entry> entries, Shared shared = Shared::kNothing);

  const std::vector<uint32_t>& units() const { return units_; }
  bool empty() const { return units_.empty(); }

  // A place in the trie.
  struct Node {
    uint32_t base = 0;
    int32_t value = kNone;  // of the key that ends here
  };
  // Requires !empty().
  Node root() const { return {offset_of(units_[0]), kNone}; }
  // Follows `byte`; false when no key goes on with it.
  bool step(Node& node, uint8_t byte) const {
    const size_t at = node.base ^ byte;
    if (at >= units_.size()) return false;
    const uint32_t unit = units_[at];
    if ((unit & kLabel) != byte) return false;
    node.base = static_cast<uint32_t>(at) ^ offset_of(unit);
    node.value = unit & kHasLeaf ? value_at(node.base) : kNone;
    return true;
  }

  // The value of a key, or kNone.
  int32_t find(std::string_view key) const;

  // Calls f(length, value) for every key that [p, end) begins with, the shortest first.
  template <class F>
  void for_each_prefix(const uint8_t* p, const uint8_t* end, F&& f) const {
    if (empty()) return;
    Node node = root();
    for (const uint8_t* at = p; at < end && step(node, *at);) {
      ++at;
      if (node.value != kNone) f(static_cast<size_t>(at - p), node.value);
    }
  }

 private:
  static constexpr uint32_t kLeaf = uint32_t{1} << 31, kHasLeaf = uint32_t{1} << 8;
  static constexpr uint32_t kLabel = kLeaf | 0xFF, kShifted = uint32_t{1} << 9;
  friend class DoubleArrayBuilder;

  static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & kShifted) >> 6); }
  int32_t value_at(size_t leaf) const {
    return leaf < units_.size() ? static_cast<int32_t>(units_[leaf] & ~kLeaf) : kNone;
  }

  std::vector<uint32_t> units_;
};

}  // namespace lathe
