// The tokens of a model as bytes, and a tree of them by their bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// Immutable; shared by all constraints on one tokenizer.
class TokenVocabulary {
 public:
  // `tokens`: by id, the bytes that each stands for in the middle of a text; empty for ids without a
  // token and for special tokens, which no constraint allows; a token that holds the byte 0xFF, which
  // no text has, counts among them. `ends`: the ids that end an answer, allowed where the constraint
  // may end. `encode`: the tokenizer's tokens of some bytes, called from any thread; without it no
  // tokens are known to be forced. `marks`: tokens that are read as themselves, whatever bytes they
  // have: allowed where the grammar names them (GrammarBuilder::token), and nowhere else. Throws
  // kConfig for an end or a mark that is no id, and for one that is both.
  using Encode = std::function<std::vector<int32_t>(std::string_view)>;
  TokenVocabulary(std::vector<std::string> tokens, std::vector<int32_t> ends, Encode encode = {},
                  std::span<const int32_t> marks = {});

  size_t size() const { return tokens_.size(); }
  const std::string& bytes(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < tokens_.size(); }
  std::span<const int32_t> ends() const { return ends_; }
  bool is_end(int32_t id) const;
  bool is_mark(int32_t id) const;
  size_t longest() const { return longest_; }  // bytes
  // The tokens of these bytes in the middle of a text, marks as themselves; empty if there are none with
  // just these bytes.
  std::vector<int32_t> encode(std::string_view bytes) const;

  // The tree, each node before those below it. The root is not in it: its children have depth 1.
  struct Node {
    uint8_t byte;
    uint32_t depth;
    uint32_t parent;       // of the root's children: themselves
    uint32_t behind;       // the first node that is not below this one
    uint32_t first, last;  // in ids(): the tokens that end here
  };
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<int32_t>& ids() const { return ids_; }

 private:
  void build_tree();
  bool encode_text(std::string_view text, std::vector<int32_t>& out) const;

  std::vector<std::string> tokens_;
  std::vector<int32_t> ends_;
  Encode encode_;
  size_t longest_ = 0;
  std::vector<Node> nodes_;
  std::vector<int32_t> ids_;  // of tokens with bytes, by their bytes
};

}  // namespace lathe
