// The two long lists of a tokenizer.json, `vocab` and `merges` of `model`, of which the second is
// there for byte-pair encoding only. Internal to text/.
//
// A vocabulary of 50,000 tokens is 200,000 JSON values, and a tree of them takes three times as
// long to build and to throw away as everything else that loading does. cut_token_sections() reads
// the lists where they stand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/text/format/json_fields.h"

namespace lathe {

struct TokenSections {
  // Text and id, as the file has them: {"text": id, …}, or [["text", score], …] whose ids count up.
  std::vector<std::pair<std::string, int32_t>> vocab;
  std::vector<double> scores;                               // of the second form
  std::vector<std::pair<std::string, std::string>> merges;  // left and right, in order of rank
};

struct CutDocument {
  text_json::Json rest;  // the document with both lists empty
  TokenSections sections;
};

// nullopt for whatever is not a valid document with `vocab` once and `merges` at most once, and for lists that are damaged:
// token_sections() of the whole document then says what is wrong. Checks all but the UTF-8 of the
// lists' texts.
std::optional<CutDocument> cut_token_sections(std::string_view json);

// The same from a document's `model`; kFormat, naming `origin`, for damage.
TokenSections token_sections(const text_json::Json& model, std::string_view origin);

}  // namespace lathe
