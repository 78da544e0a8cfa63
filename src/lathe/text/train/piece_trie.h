// The pieces of a Unigram model under training, found by their bytes. Internal to text/.
//
// A double array (Aoe 1989): the child of a node by a byte is at base ^ byte, if that slot says so.
// Immutable, hence thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

class PieceTrie {
 public:
  PieceTrie() = default;
  // Distinct, not empty, in ascending order; a piece is known by its index.
  explicit PieceTrie(std::span<const std::string_view> pieces);

  static constexpr int32_t kRoot = 0, kNone = -1;
  // The node behind `node` by a byte, or kNone.
  int32_t child(int32_t node, uint8_t byte) const {
    const int32_t next = nodes_[node].base ^ byte;
    return nodes_[next].parent == node ? next : kNone;
  }
  // The piece that ends at a node, or kNone.
  int32_t piece(int32_t node) const { return nodes_[node].piece; }

 private:
  friend class TrieBuilder;
  struct Node {
    int32_t base = 0;
    int32_t parent = -1;
    int32_t piece = -1;
  };
  std::vector<Node> nodes_;
};

}  // namespace lathe
