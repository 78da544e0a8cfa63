// Cutting text into the pieces that a model's tokens may not cross, as `tokenizer.json` describes
// it: the steps of the catalogue kPreTokenizerTypes. The pieces are those of `tokenizers` 0.23.3.
//
// A byte-level tokenizer maps bytes to printable characters in the middle of this pipeline
// (ByteLevel). Here the bytes stay bytes; only steps that come after ByteLevel see the mapped
// characters, because they were written for those (Falcon looks for digits there, and finds the
// bytes of some Chinese characters). Immutable, hence thread-safe with one Scratch per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/text/format/json_fields.h"
#include "lathe/text/split/patterns.h"

namespace lathe {

struct Piece {
  size_t begin, end;
};

class PreTokenizer {
 public:
  struct Scratch {
    std::string buffer, next_buffer;
    std::vector<Piece> pieces, next;
    size_t start = 0;  // see split(); moves with the text
  };

  // One stage of the pipeline.
  class Step {
   public:
    virtual ~Step() = default;
    // Replaces scratch.pieces by smaller ones. May move the text to scratch.buffer, as it is where
    // `text` may be already.
    virtual std::string_view run(std::string_view text, Scratch& scratch) const = 0;
  };

  // Throws kFormat for a type that is not in the catalogue.
  static PreTokenizer from_json(const text_json::Json& json, std::string_view origin);
  // The JSON that stands for one of the catalogue's patterns followed by ByteLevel.
  static text_json::Json json_for(Pattern pattern);

  // True when the text goes through ByteLevel, that is when the vocabulary is written in the byte
  // alphabet.
  bool byte_level() const { return parts_.byte_level; }

  // The scanner that is all there is to do, or nullptr: then call split().
  PieceScanner scanner() const { return parts_.scanner; }

  // Cuts `text`; the pieces are offsets into the returned view, which is `text` or scratch.buffer
  // (with what ByteLevel and Metaspace put in front). `start` is how many bytes at the beginning of
  // `text` derive from the first character of the text that was given to the tokenizer, as
  // Normalizer::apply says; 0 when something else stands before them.
  std::string_view split(std::string_view text, size_t start, Scratch& scratch) const;

  struct Parts {
    std::vector<std::unique_ptr<Step>> steps;
    PieceScanner scanner = nullptr;
    bool byte_level = false;
  };

 private:
  Parts parts_;
};

// Where the steps of a pre-tokeniser's JSON go, and how deep it is nested.
struct PreTokenizerSteps {
  std::string_view origin;
  PreTokenizer::Parts& parts;
  int depth = 0;
};

// `json` is an object of the entry's type.
using MakePreTokenizer = void (*)(const text_json::Json& json, const PreTokenizerSteps& to);
using PreTokenizerEntry = CatalogueEntry<MakePreTokenizer>;
extern const std::span<const PreTokenizerEntry> kPreTokenizerTypes;

}  // namespace lathe
