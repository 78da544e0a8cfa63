// Text normalisation before pre-tokenisation, as `tokenizer.json` describes it: the steps of the
// catalogue kNormalizers, one after the other. The results are those of `tokenizers` 0.23.3.
//
// Bytes that are not valid UTF-8 pass through unchanged. Immutable, hence thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/text/format/json_fields.h"

namespace lathe {

class Normalizer {
 public:
  // One change of the text.
  //
  // `start` is how many bytes at the beginning of the text derive from the first character of the
  // original text: on entry of `text`, on return of the result. Pre-tokenisers ask for it
  // (Metaspace marks what begins the text). A character derives from the one it replaces, and what
  // is inserted from the character before it, as the alignments of `tokenizers` have it; a step
  // that drops the first character makes it 0.
  class Step {
   public:
    virtual ~Step() = default;
    // False when the text stays as it is, `start` too; else `out`, which is empty on entry, holds
    // the new text.
    virtual bool apply(std::string_view text, std::string& out, size_t& start) const = 0;
  };
  using Steps = std::vector<std::unique_ptr<Step>>;

  Normalizer() = default;  // changes nothing
  // Throws kFormat for a type that is not in the catalogue.
  static Normalizer from_json(const text_json::Json& json, std::string_view origin);

  bool changes_nothing() const { return steps_.empty(); }

  struct Result {
    std::string_view text;  // the argument itself where nothing changes, else a view of `buffer`
    size_t start;           // bytes at its beginning that derive from the first character
  };
  Result apply(std::string_view text, std::string& buffer) const;

 private:
  Steps steps_;
};

// Where the steps of a normalizer's JSON go, and how deep it is nested.
struct NormalizerSteps {
  std::string_view origin;
  Normalizer::Steps& steps;
  int depth = 0;
};

// `json` is an object of the entry's type.
using MakeNormalizer = void (*)(const text_json::Json& json, const NormalizerSteps& to);
using NormalizerEntry = CatalogueEntry<MakeNormalizer>;
extern const std::span<const NormalizerEntry> kNormalizers;

}  // namespace lathe
