#include "fuzz/fuzz.h"
#include "lathe/text/decode/sentencepiece_decoder.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe::fuzz {
namespace {

void check_decoder(const SentencePieceFile& file) {
  SentencePieceDecoder decoder(SentencePieceDecoding::of(file, "f"));
  std::string text;
  for (const SentencePieceFile::Piece& piece : file.pieces)
    decoder.push(piece.text, piece.type, text);
  decoder.finish(text);
}

}  // namespace

// A model file: what is read can be written and read again, and a Unigram model encodes.
void check(std::string_view bytes) {
  const SentencePieceFile file = read_sentencepiece(bytes, "f");
  const std::string written = write_sentencepiece(file);
  promise(write_sentencepiece(read_sentencepiece(written, "f")) == written);
  check_decoder(file);
  const SentencePieceNormalizer normalizer(normalization_of(file, "f"));
  if (file.model_type != SentencePieceFile::ModelType::kUnigram) return;
  const auto model = unigram_model_of(file, "f");
  const PreTokenizer none;
  std::string text;
  size_t start = 1;
  normalizer.apply("a b  ab\u00e9 \u5b57<m>aab\xFF", text, start);
  std::vector<int32_t> ids;
  model->encoder(none)->encode(text, start, {}, ids);
  for (const int32_t id : ids) promise(id >= 0 && static_cast<size_t>(id) < file.pieces.size());
  promise(!model->nbest(text, 4).empty());
}

std::vector<Seed> seeds() {
  using Type = SentencePieceFile::Type;
  SentencePieceFile file;
  file.pieces = {{"<unk>", 0, Type::kUnknown},   {"<s>", 0, Type::kControl},
                 {"\u2581a", -1, Type::kNormal}, {"b", -2, Type::kNormal},
                 {"<m>", 0, Type::kUserDefined}, {"ab", -1.5, Type::kUnused}};
  file.normalizer.precompiled_charsmap = CharsMap::build({{U"a", U"b"}}).compiled();
  file.denormalizer = SentencePieceFile::NormalizerSpec{};
  file.self_test = {{"a", "a"}};
  std::vector<Seed> all = {{"unigram", write_sentencepiece(file)}};
  file.byte_fallback = true;
  for (int b = 0; b < 256; ++b)
    file.pieces.push_back({fmt::format("<0x{:02X}>", b), 0, Type::kByte});
  all.push_back({"bytes", write_sentencepiece(file)});
  file.model_type = SentencePieceFile::ModelType::kBpe;
  all.push_back({"bpe", write_sentencepiece(file)});
  return all;
}

}  // namespace lathe::fuzz
