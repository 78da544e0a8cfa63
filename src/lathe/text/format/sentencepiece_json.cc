#include "lathe/text/format/sentencepiece_json.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/text/base64.h"
#include "lathe/text/model/char_bpe.h"

namespace lathe {
namespace {

using text_json::Json;

constexpr std::string_view kMark = "\u2581";

Json replace(const char* kind, std::string_view what, std::string_view by) {
  return {{"type", "Replace"}, {"pattern", {{kind, what}}}, {"content", by}};
}

void can(bool condition, std::string_view obstacle) {
  require(condition, ErrorKind::kFormat, "tokenizer.json",
          "a tokenizer.json cannot hold this tokenizer: {}", obstacle);
}

void check(const TokenizerData& data, const SentencePieceFile& file) {
  can(!file.treat_whitespace_as_suffix, "it writes white space behind words");
  can(file.normalizer.escape_whitespaces, "it leaves spaces as they are");
  can(!file.denormalizer || file.denormalizer->precompiled_charsmap.empty(),
      "it changes decoded text by a character map");
  const auto unused = [](const SentencePieceFile::Piece& piece) {
    return piece.type == SentencePieceFile::Type::kUnused;
  };
  can(std::ranges::none_of(file.pieces, unused), "it has unused pieces");
  const auto* bpe = dynamic_cast<const CharBpe*>(data.model.get());
  can(bpe == nullptr || bpe->has_ranks(),
      "its merges have no ranks: different pieces have the same score, or a character that pieces "
      "are made of is no piece");
}

// Whether a "▁" never stands behind another character in a piece, so that words can be cut apart.
bool marks_begin_words(const SentencePieceFile& file) {
  return std::ranges::none_of(file.pieces, [](const SentencePieceFile::Piece& piece) {
    return piece.text.find(kMark, 1) != std::string::npos;
  });
}

Json normalizer_of(const SentencePieceFile::NormalizerSpec& spec) {
  Json steps = Json::array();
  if (!spec.precompiled_charsmap.empty())
    steps.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(spec.precompiled_charsmap)}});
  if (spec.remove_extra_whitespaces) {
    steps.push_back(replace("Regex", "^ +| +$", ""));
    steps.push_back(replace("Regex", " {2,}", " "));
  }
  if (spec.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kMark}});
  steps.push_back(replace("String", " ", kMark));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

}  // namespace

TokenizerParts json_parts_of(const TokenizerData& data) {
  if (!data.sentencepiece) return data.parts;
  const SentencePieceFile& file = data.sentencepiece->file;
  check(data, file);
  TokenizerParts parts{.normalizer = normalizer_of(file.normalizer),
                       .post_processor = data.parts.post_processor};
  if (marks_begin_words(file))
    parts.pre_tokenizer = {{"type", "Split"},
                           {"pattern", {{"String", kMark}}},
                           {"behavior", "MergedWithNext"},
                           {"invert", false}};
  Json decoders = Json::array({replace("String", kMark, " ")});
  if (file.byte_fallback) decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (file.normalizer.add_dummy_prefix)
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  parts.decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  return parts;
}

}  // namespace lathe
