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

  // Calls f(length, piece) for all pieces that `text` begins with, shortest first.
  template <class F>
  void for_each_prefix(std::string_view text, F&& f) const {
    int32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const int32_t child = nodes_[node].base ^ static_cast<uint8_t>(text[i]);
      if (nodes_[child].parent != node) return;
      node = child;
      if (nodes_[node].piece >= 0) f(i + 1, nodes_[node].piece);
    }
  }

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
