// How text is prepared for a tokenizer that is trained: the catalogues of normalisers and
// pre-tokenisers that `lathe tokenizer train` knows by name.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lathe/base/catalogue.h"
#include "lathe/text/format/json_fields.h"
#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/train/word_cutter.h"

namespace lathe {

struct NormalizerChoice {
  std::string_view name, summary;
  text_json::Json (*make)();  // of a tokenizer.json
  std::string_view charsmap;  // SentencePiece's name of the same; empty: it has none
};
extern const std::span<const NormalizerChoice> kNormalizerChoices;

// The tokenizer.json's normaliser that `name` stands for: an entry of the catalogue, or a file of
// rules in SentencePiece's format (`from TAB to`, hexadecimal). Throws kUsage, naming both, for
// what is neither.
text_json::Json normalizer_named(const std::string& name);
// The same as SentencePiece's character map; kUsage for a normaliser that it does not have.
CharsMap charsmap_named(const std::string& name);

struct SplitChoice {
  std::string_view name, summary;
  text_json::Json (*make)();
  text_json::Json (*decoder)(bool byte_fallback);
  SentenceUnit unit;
};
// For models over characters; byte-level models have the patterns of patterns.h.
extern const std::span<const SplitChoice> kSplitChoices;

// `--pre`: the names of both.
std::vector<std::string> split_names();

}  // namespace lathe
