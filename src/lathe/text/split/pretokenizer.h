// Cutting text into the pieces that merging may not cross, as `tokenizer.json` describes it:
// ByteLevel, Split, Digits, Punctuation, and Sequences of them.
//
// A byte-level tokenizer maps bytes to printable characters in the middle of this pipeline
// (ByteLevel). Here the bytes stay bytes; only steps that come after ByteLevel see the mapped
// characters, because they were written for those (Falcon looks for digits there, and finds the
// bytes of some Chinese characters). Immutable, hence thread-safe with one Scratch per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/format/json_fields.h"
#include "lathe/text/split/patterns.h"

namespace lathe {

struct Piece {
  size_t begin, end;
};

class PreTokenizer {
 public:
  class Step;
  PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  // Throws kFormat for a type that is not in the list above.
  static PreTokenizer from_json(const text_json::Json& json, std::string_view origin);
  // The JSON that stands for one of the catalogue's patterns followed by ByteLevel.
  static text_json::Json json_for(Pattern pattern);

  // True when the text goes through ByteLevel, that is when the vocabulary is written in the byte
  // alphabet.
  bool byte_level() const { return byte_level_; }

  // The scanner that is all there is to do, or nullptr: then call split().
  PieceScanner scanner() const { return scanner_; }

  struct Scratch {
    std::string buffer;
    std::vector<Piece> pieces, next;
  };
  // Cuts `text`; the pieces are offsets into the returned view, which is `text` or scratch.buffer
  // (with the spaces that add_prefix_space asks for).
  std::string_view split(std::string_view text, bool begins_text, Scratch& scratch) const;

 private:
  void add(const text_json::Json& json, int depth, std::string_view origin);
  std::vector<std::unique_ptr<Step>> steps_;
  PieceScanner scanner_ = nullptr;
  bool byte_level_ = false;
};

}  // namespace lathe
