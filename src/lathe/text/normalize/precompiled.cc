// The type "Precompiled" of tokenizer.json: a compiled character map of SentencePiece as
// `tokenizers` applies it, which is not what SentencePiece does (sentencepiece_normalizer.h).
//
// The text is taken one extended grapheme cluster at a time. Where a rule is the beginning of a
// cluster of at most 5 bytes, the shortest such rule replaces the cluster, also what of it stands
// behind the rule. Otherwise the same is done for each character of the cluster alone.
#include "lathe/text/base64.h"
#include "lathe/text/normalize/charsmap.h"
#include "lathe/text/normalize/grapheme.h"
#include "lathe/text/normalize/makers.h"
#include "lathe/text/normalize/rewrite.h"

namespace lathe {
namespace {

class Precompiled : public Normalizer::Step {
 public:
  explicit Precompiled(CharsMap map) : map_(std::move(map)) {
    plain_ =
        ascii_set([&](char32_t c) { return c != '\r' && !map_.replaces(static_cast<char>(c)); });
  }

  bool apply(std::string_view text, std::string& out, size_t& start) const override {
    Rewrite rewrite(text, out, start);
    const uint8_t *begin = as_bytes(text), *end = begin + text.size();
    for (const uint8_t* p = begin; p < end;) {
      // An ASCII character before another one is a cluster.
      if (*p < 0x80 && plain_[*p] && (p + 1 == end || p[1] < 0x80)) {
        ++p;
        continue;
      }
      const uint8_t* stop = grapheme_end(p, end);
      if (stop - p <= kLongestCluster && replace(p, stop, begin, rewrite)) {
        p = stop;
        continue;
      }
      while (p < stop) {
        const uint8_t* next = p + decode_utf8(p, stop).size;
        replace(p, next, begin, rewrite);
        p = next;
      }
    }
    return rewrite.finish(start);
  }

 private:
  static constexpr ptrdiff_t kLongestCluster = 5;

  // Replaces [p, stop) of the text that starts at `begin`, if a rule says so. Each character derives
  // from the one in its place, the last of the shorter side from or for all that remain.
  bool replace(const uint8_t* p, const uint8_t* stop, const uint8_t* begin,
               Rewrite& rewrite) const {
    const CharsMap::Match match = map_.shortest(p, stop);
    if (match.length == 0) return false;
    const uint8_t *from = p, *with = as_bytes(match.replacement),
                  *with_end = with + match.replacement.size();
    const auto place = [&](const uint8_t* q, const uint8_t* w) {
      rewrite.replace(static_cast<size_t>(from - begin), static_cast<size_t>(q - begin),
                      {reinterpret_cast<const char*>(with), static_cast<size_t>(w - with)});
      from = q;
      with = w;
    };
    while (with < with_end) {
      const uint8_t *q = from + decode_utf8(from, stop).size,
                    *w = with + decode_utf8(with, with_end).size;
      if (q == stop || w == with_end) break;
      place(q, w);
    }
    place(stop, with_end);
    return true;
  }

  CharsMap map_;
  AsciiSet plain_;
};

}  // namespace

void make_precompiled(const text_json::Json& json, const NormalizerSteps& to) {
  const auto compiled = from_base64(text_json::get_string(json, "precompiled_charsmap", to.origin));
  if (!compiled || compiled->empty())
    text_json::bad(to.origin, "'precompiled_charsmap' of normalizer Precompiled is {}",
                   compiled ? "empty" : "not base64");
  to.steps.push_back(std::make_unique<Precompiled>(CharsMap::parse(*compiled, to.origin)));
}

}  // namespace lathe
