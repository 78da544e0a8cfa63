#include <algorithm>
#include <iterator>

#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/split/pretokenizer.h"
#include "text/component_samples.h"

namespace lathe::fuzz {
namespace {

template <class Made, class Samples>
std::vector<Made> make_all(const Samples& samples) {
  std::vector<Made> made;
  for (const char* json : samples)
    made.push_back(Made::from_json(text_json::parse(json, "f"), "f"));
  return made;
}

bool begins_unit(std::string_view text, size_t at) {
  return at == text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80;
}

}  // namespace

// The first two bytes choose a normaliser and a pre-tokeniser, which get the rest. Valid text stays
// valid, and pieces lie in the text, in order, and begin and end between characters.
void check(std::string_view bytes) {
  static const auto normalizers = make_all<Normalizer>(testing::kNormalizerSamples);
  static const auto pre_tokenizers = make_all<PreTokenizer>(testing::kPreTokenizerSamples);
  if (bytes.size() < 2) return;
  const Normalizer& normalizer = normalizers[static_cast<uint8_t>(bytes[0]) % normalizers.size()];
  const PreTokenizer& pre_tokenizer =
      pre_tokenizers[static_cast<uint8_t>(bytes[1]) % pre_tokenizers.size()];
  const std::string_view text = bytes.substr(2);
  const bool valid = is_valid_utf8(text);
  std::string buffer;
  const Normalizer::Result normalized = normalizer.apply(text, buffer);
  promise(normalized.start <= normalized.text.size());
  if (valid) promise(is_valid_utf8(normalized.text));
  if (valid) promise(begins_unit(normalized.text, normalized.start));
  PreTokenizer::Scratch scratch;
  const std::string_view split = pre_tokenizer.split(normalized.text, normalized.start, scratch);
  promise(scratch.start <= split.size());
  size_t from = 0;
  for (const Piece& piece : scratch.pieces) {
    promise(from <= piece.begin && piece.begin < piece.end && piece.end <= split.size());
    if (valid) promise(begins_unit(split, piece.begin) && begins_unit(split, piece.end));
    from = piece.end;
  }
}

std::vector<Seed> seeds() {
  std::vector<Seed> seeds;
  for (size_t i = 0; i < std::max(std::size(testing::kNormalizerSamples),
                                  std::size(testing::kPreTokenizerSamples));
       ++i) {
    const char choice = static_cast<char>(i);
    seeds.push_back({std::to_string(i),
                     std::string{choice, choice} +
                         "  r\u00e9sum\u00e9 \uFF9E\uAC00 \u4e2d\u6587123456, \u0130x\u2581 \xFF"});
  }
  return seeds;
}

}  // namespace lathe::fuzz
