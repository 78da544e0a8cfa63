// The encoder of byte-pair encoding on characters. A piece is cut wherever no token reaches over a
// border between two characters (char_cuts.h): in a text that is one piece, as SentencePiece has
// them, that is before nearly every "▁", so that the stretches are words, which are looked up among
// those met before.
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/piece_loop.h"
#include "lathe/text/model/word_memory.h"

namespace lathe {
namespace {

class CharPieces {
 public:
  explicit CharPieces(const CharBpe& model) : model_(model) {}

  void encode(const uint8_t* p, const uint8_t* q, const uint8_t* limit, EncodeMeter& meter,
              std::vector<int32_t>& out) {
    if (model_.options().ignore_merges) {
      const auto id = model_.vocabulary().find(view(p, q));
      if (id) return out.push_back(*id);
    }
    if (!model_.may_cut()) return encode_stretch(p, q, limit, out);
    const size_t first = out.size();
    model_.cuts().for_each_stretch(p, q, [&](const uint8_t* begin, const uint8_t* end) {
      const size_t at = out.size();
      encode_stretch(begin, end, limit, out);
      model_.fuse(first, at, out);
      meter.reach(end);
    });
  }

 private:
  static std::string_view view(const uint8_t* p, const uint8_t* q) {
    return {reinterpret_cast<const char*>(p), static_cast<size_t>(q - p)};
  }

  void encode_stretch(const uint8_t* p, const uint8_t* q, const uint8_t* limit,
                      std::vector<int32_t>& out) {
    const auto n = static_cast<size_t>(q - p);
    if (n > kWordBytes) return model_.merge(view(p, q), scratch_, out);
    const WordKey key = word_key(p, n, limit);
    if (memory_.recall(key, out)) return;
    const size_t before = out.size();
    model_.merge(view(p, q), scratch_, out);
    memory_.remember(key, before, out);
  }

  const CharBpe& model_;
  WordMemory<7, 15> memory_;
  PairMerger::Scratch scratch_;
};

}  // namespace

std::unique_ptr<TextEncoder> CharBpe::encoder(const PreTokenizer& pre_tokenizer) const {
  return piece_loop(pre_tokenizer, CharPieces(*this));
}

}  // namespace lathe
