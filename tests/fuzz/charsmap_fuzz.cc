#include "fuzz/fuzz.h"
#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/normalize/sentencepiece_normalizer.h"

namespace lathe::fuzz {

// The first byte is the length of a text, then come the text and a compiled map. The quick test of
// the map never denies a rule, and the normaliser with it ends.
void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[0]), bytes.size() - 1);
  const std::string_view text = bytes.substr(1, length);
  SentencePieceNormalization options;
  options.charsmap = CharsMap::parse(bytes.substr(1 + length), "f");
  const CharsMap& map = options.charsmap;
  const uint8_t *begin = as_bytes(text), *end = begin + text.size();
  for (const uint8_t* p = begin; p < end; ++p) {
    const CodePoint c = decode_utf8(p, end);
    const CharsMap::Match longest = map.longest(p, end), shortest = map.shortest(p, end);
    promise(shortest.length <= longest.length || shortest.length == 0);
    promise(p + longest.length <= end);
    promise(map.may_apply(c.value, p + c.size, end) || longest.length == 0);
  }
  promise(CharsMap::parse(map.compiled(), "f").compiled() == map.compiled());
  std::string out;
  size_t start = 1;
  const bool changed = SentencePieceNormalizer(options).apply(text, out, start);
  promise(!changed || start <= out.size());
}

std::vector<Seed> seeds() {
  const std::string map =
      CharsMap::build({{U"a", U"b"}, {U"ab\u0301", U"xy "}, {U"\u3000", U" "}, {U"q", U""}})
          .compiled();
  return {{"rules", std::string("\x0C") + "ab\u0301 \u3000aq\xFF\xE3" + map}, {"none", "\x02 a"}};
}

}  // namespace lathe::fuzz
