#include "lathe/text/format/sentencepiece_json.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/base64.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/metaspace.h"
#include "lathe/text/model/char_bpe.h"

namespace lathe {
namespace {

using text_json::Json;

void can(bool condition, std::string_view obstacle) {
  require(condition, ErrorKind::kFormat, "tokenizer.json",
          "a tokenizer.json cannot hold this tokenizer: {}", obstacle);
}

void check(const SentencePieceFile& file) {
  can(file.model_type != SentencePieceFile::ModelType::kWord,
      "unknown words side by side are one token");
  can(!file.treat_whitespace_as_suffix, "it writes white space behind words");
  can(file.normalizer.escape_whitespaces, "it leaves spaces as they are");
  can(!file.denormalizer || file.denormalizer->precompiled_charsmap.empty(),
      "it changes decoded text by a character map");
  const auto unused = [](const SentencePieceFile::Piece& piece) {
    return piece.type == SentencePieceFile::Type::kUnused;
  };
  can(std::ranges::none_of(file.pieces, unused), "it has unused pieces");
}

// Whether a "▁" never stands behind another character in a piece, so that words can be cut apart.
bool marks_begin_words(const SentencePieceFile& file) {
  return std::ranges::none_of(file.pieces, [](const SentencePieceFile::Piece& piece) {
    return piece.text.find(kSpaceMark, 1) != std::string::npos;
  });
}

Json normalizer_of(const SentencePieceFile::NormalizerSpec& spec) {
  Json steps = Json::array();
  if (!spec.precompiled_charsmap.empty())
    steps.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(spec.precompiled_charsmap)}});
  if (spec.remove_extra_whitespaces) {
    steps.push_back(replace_json(ReplaceBy::kRegex, "^ +| +$", ""));
    steps.push_back(replace_json(ReplaceBy::kRegex, " {2,}", " "));
  }
  if (spec.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
  steps.push_back(replace_json(ReplaceBy::kString, " ", kSpaceMark));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

}  // namespace

TokenizerParts json_parts_of(const TokenizerData& data) {
  const auto* bpe = dynamic_cast<const CharBpe*>(data.model.get());
  can(bpe == nullptr || bpe->has_ranks(),
      "its merges have no ranks: different pieces have the same score, or a character that pieces "
      "are made of is no piece");
  if (!data.sentencepiece) return data.parts;
  const SentencePieceFile& file = data.sentencepiece->file;
  check(file);
  TokenizerParts parts{.normalizer = normalizer_of(file.normalizer),
                       .post_processor = data.parts.post_processor};
  if (marks_begin_words(file))
    parts.pre_tokenizer = {{"type", "Split"},
                           {"pattern", {{"String", kSpaceMark}}},
                           {"behavior", "MergedWithNext"},
                           {"invert", false}};
  parts.decoder = mark_decoder_json(file.byte_fallback, file.normalizer.add_dummy_prefix);
  return parts;
}

}  // namespace lathe
