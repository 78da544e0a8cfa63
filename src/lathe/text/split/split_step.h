// Steps that cut and drop, but write nothing new. Internal to text/.
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

// Appends a step that runs the splitter; behind ByteLevel it sees the byte alphabet.
void add_splitter(std::unique_ptr<Splitter> splitter, const PreTokenizerSteps& to);

// The member `behavior` of a step, isolating where it has none.
SplitBehavior behavior_of(const text_json::Json& json, std::string_view origin);

// A text in matches and the gaps between them, for apply_behavior.
class Matches {
 public:
  Matches(size_t size, bool invert) : size_(size), invert_(invert) {}
  void add(size_t begin, size_t end) {
    if (begin > from_) list_.push_back({from_, begin, invert_});
    list_.push_back({begin, end, !invert_});
    from_ = end;
  }
  const std::vector<Match>& finish() {
    if (from_ < size_) list_.push_back({from_, size_, invert_});
    return list_;
  }

 private:
  std::vector<Match> list_;
  size_t from_ = 0, size_;
  bool invert_;
};

}  // namespace lathe
