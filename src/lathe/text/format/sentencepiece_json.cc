#include "lathe/text/format/sentencepiece_json.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {
namespace {

using text_json::Json;
using Type = SentencePieceFile::Type;

constexpr const char* kMark = "\u2581";

Json sequence(const char* key, std::vector<Json> steps) {
  return {{"type", "Sequence"}, {key, std::move(steps)}};
}

Json replace(const char* from, const char* to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

void require_plain(const SentencePieceFile& file) {
  const auto refuse_if = [](bool wrong, std::string_view what) {
    require(!wrong, ErrorKind::kUsage, "tokenizer",
            "a SentencePiece model with {} cannot be written as tokenizer.json; expected a BPE "
            "model with byte fallback that only marks the spaces, such as that of Llama 2",
            what);
  };
  const SentencePieceFile::NormalizerSpec& n = file.normalizer;
  refuse_if(file.model_type != SentencePieceFile::ModelType::kBpe, "a model that is not BPE");
  refuse_if(!file.byte_fallback, "no byte fallback");
  refuse_if(!n.precompiled_charsmap.empty(), "a character map");
  refuse_if(n.remove_extra_whitespaces, "remove_extra_whitespaces");
  refuse_if(!n.escape_whitespaces, "spaces that stay spaces");
  refuse_if(file.treat_whitespace_as_suffix, "treat_whitespace_as_suffix");
  refuse_if(file.denormalizer.has_value(), "a denormaliser");
  refuse_if(std::ranges::any_of(file.pieces,
                                [](const SentencePieceFile::Piece& piece) {
                                  return piece.type == Type::kUserDefined ||
                                         piece.type == Type::kUnused;
                                }),
            "user-defined or unused pieces");
}

}  // namespace

TokenizerParts json_parts_of(const TokenizerData& data) {
  TokenizerParts parts = data.parts;
  if (!data.sentencepiece) return parts;
  const SentencePieceFile& file = data.sentencepiece->file;
  require_plain(file);
  std::vector<Json> normalizers, decoders;
  if (file.normalizer.add_dummy_prefix)
    normalizers.push_back({{"type", "Prepend"}, {"prepend", kMark}});
  normalizers.push_back(replace(" ", kMark));
  decoders = {replace(kMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (file.normalizer.add_dummy_prefix)
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  parts.normalizer = sequence("normalizers", std::move(normalizers));
  parts.decoder = sequence("decoders", std::move(decoders));
  return parts;
}

}  // namespace lathe
