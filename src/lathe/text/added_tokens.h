// Tokens that are found in the text before anything else is done to it: <|endoftext|> and the like.
//
// At each place the longest token that matches is taken, matches do not overlap, and the search
// goes on behind a match, as in `tokenizers`. A search costs the text's length times at most the
// longest token's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      // control token: left out of decoded text on request
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space after it along
  bool normalized = false;   // looked for in the normalised text
  bool verbatim = false;     // there as it is, although the normaliser would change it
  bool searched = true;      // false: it is only ever an id, whatever the text says
};

class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  // Texts to find (not empty) and, of the same index, the tokens they stand for.
  AddedTokenMatcher(const std::vector<std::string>& texts, const std::vector<AddedToken>& tokens);

  bool empty() const { return tokens_.empty(); }

  struct Segment {
    size_t begin, end;
    int32_t id;  // -1: ordinary text
  };
  // Appends the segments of `text`: tokens, and the non-empty text between them. With
  // `special_as_text` special tokens are passed over.
  void find(std::string_view text, bool special_as_text, std::vector<Segment>& out) const;

  // Whether some token's text begins before `at` and ends behind it (conservative: overlapping
  // candidates count too).
  bool crosses(std::string_view text, size_t at) const;

 private:
  struct Node {
    int32_t token = -1;  // index into tokens_
    int32_t first_edge = 0, edge_count = 0;
  };
  struct Edge {
    uint8_t byte;
    int32_t target;
  };
  // Whether some token may begin with the two bytes at `p`.
  bool may_begin(const uint8_t* p) const {
    const uint32_t pair = static_cast<uint32_t>(p[0]) << 8 | p[1];
    return begin_pairs_[pair >> 6] >> (pair & 63) & 1;
  }
  int32_t longest_at(std::string_view text, size_t at) const;
  int32_t child(int32_t node, uint8_t byte) const;
  void segment(std::string_view text, size_t begin, size_t end, const AddedToken& token,
               size_t& from, std::vector<Segment>& out) const;

  std::vector<std::string> texts_;
  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;            // of one node: adjoining, ascending
  std::vector<uint64_t> begin_pairs_;  // bitmap over two first bytes
  size_t longest_ = 0;
};

}  // namespace lathe
