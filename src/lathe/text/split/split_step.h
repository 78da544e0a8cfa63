// The splitters of tokenizer.json: Split, Digits, Punctuation. Internal to text/.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "lathe/text/format/json_fields.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe {

// What becomes of the matches and of the text between them.
enum class SplitBehavior {
  kRemoved,             // matches are dropped
  kIsolated,            // every match is a piece
  kMergedWithPrevious,  // a match ends the piece before it
  kMergedWithNext,      // a match begins the piece after it
  kContiguous,          // adjoining matches are one piece
};

struct Match {
  size_t begin, end;
  bool matched;
};

// Turns matches and gaps, which cover the text in order, into pieces; no piece is empty.
void apply_behavior(SplitBehavior behavior, const std::vector<Match>& matches,
                    std::vector<Piece>& out);

class Splitter {
 public:
  virtual ~Splitter() = default;
  // Appends the pieces of `text`.
  virtual void split(std::string_view text, std::vector<Piece>& out) const = 0;
  virtual bool needs_valid_utf8() const { return false; }
  // Set when split() does no more than run it.
  virtual PieceScanner scanner() const { return nullptr; }
};

// nullptr for a type that is none of the three.
std::unique_ptr<Splitter> make_splitter(const text_json::Json& json, const std::string& type,
                                        std::string_view origin);

}  // namespace lathe
