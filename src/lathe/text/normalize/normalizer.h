// Text normalisation before pre-tokenisation, as `tokenizer.json` describes it: NFC, NFD, NFKC,
// NFKD (Unicode 15, by ICU), Replace, Prepend, and Sequences of them.
//
// Bytes that are not valid UTF-8 pass through unchanged. Immutable, hence thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/format/json_fields.h"

namespace lathe {

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // Throws kFormat for a type that is not in the list above.
  static Normalizer from_json(const text_json::Json& json, std::string_view origin);

  bool changes_nothing() const { return steps_.empty(); }

  // The normalised text: `text` itself where nothing changes, else a view of `buffer`.
  std::string_view apply(std::string_view text, std::string& buffer) const;

  class Step {
   public:
    virtual ~Step() = default;
    // False when the text stays as it is; else `out`, which is empty on entry, holds the new text.
    virtual bool apply(std::string_view text, std::string& out) const = 0;
  };

 private:
  void add(const text_json::Json& json, int depth, std::string_view origin);
  std::vector<std::unique_ptr<Step>> steps_;
};

}  // namespace lathe
