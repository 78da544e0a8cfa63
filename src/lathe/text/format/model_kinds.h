// The catalogue of models that a tokenizer.json can hold: from it follow reading, writing and the
// table in docs/tokenizer.md. Internal to text/.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "lathe/text/format/json_fields.h"
#include "lathe/text/format/token_sections.h"
#include "lathe/text/model/token_model.h"
#include "lathe/text/spelling.h"

namespace lathe {

struct TokenizerData;

// `model` of a document, its lists apart.
struct ModelJson {
  const text_json::Json& fields;
  TokenSections sections;
  TokenSpelling spelling;
  std::string_view origin;
};

struct ModelKind {
  std::string_view name;  // its `type`
  std::string_view summary;
  std::string_view source;  // paper, arXiv id
  std::unique_ptr<const TokenModel> (*read)(ModelJson& json);
  // The value of `model`, indented by two.
  std::string (*write)(const TokenizerData& data);
};

std::span<const ModelKind> model_kinds();

// The kind of a document's `model`; kFormat, naming `origin`, for what is none of them.
const ModelKind& model_kind(const text_json::Json& model, std::string_view origin);
std::string write_model(const TokenizerData& data);

// From write_models.cc.
std::string write_bpe(const TokenizerData& data);
std::string write_unigram(const TokenizerData& data);
std::string write_word_piece(const TokenizerData& data);
std::string write_word_level(const TokenizerData& data);

}  // namespace lathe
