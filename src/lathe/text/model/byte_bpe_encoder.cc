// The encoder of byte-level BPE. A word is looked up among the words met before, then among those
// that are one token; only then is it merged. Before that it is cut wherever no token reaches over
// a border between two characters (char_cuts.h), and the stretches, which repeat even where words
// do not (Chinese), are looked up in the same memory. Longer pieces are cut at once.
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/piece_loop.h"
#include "lathe/text/model/word_memory.h"

namespace lathe {
namespace {

class BytePieces {
 public:
  explicit BytePieces(const ByteBpe& model) : model_(model) {}

  void encode(const uint8_t* p, const uint8_t* q, const uint8_t* limit, EncodeMeter&,
              std::vector<int32_t>& out) {
    const auto n = static_cast<size_t>(q - p);
    const std::string_view piece(reinterpret_cast<const char*>(p), n);
    if (n > kWordBytes) {
      if (const auto id = model_.whole_piece(piece)) return out.push_back(*id);
      return encode_stretches(p, q, limit, out);
    }
    const WordKey key = word_key(p, n, limit);
    if (memory_.recall(key, out)) return;
    const size_t before = out.size();
    if (const int32_t id = model_.whole_word(key); id >= 0) {
      out.push_back(id);
    } else {
      encode_stretches(p, q, limit, out);
    }
    memory_.remember(key, before, out);
  }

 private:
  static constexpr uint64_t kStretchMark = uint64_t{1} << 63;  // above a word's length in its key

  // A piece that is no token by itself.
  void encode_stretches(const uint8_t* p, const uint8_t* q, const uint8_t* limit,
                        std::vector<int32_t>& out) {
    model_.cuts().for_each_stretch(p, q, [&](const uint8_t* begin, const uint8_t* end) {
      const auto n = static_cast<size_t>(end - begin);
      const std::string_view stretch(reinterpret_cast<const char*>(begin), n);
      if (n > kWordBytes) return model_.merge(stretch, scratch_, out);
      WordKey key = word_key(begin, n, limit);
      // Under ignore_merges a piece may be a token that merging does not make; its bytes inside
      // another piece are not that token.
      if (model_.options().ignore_merges) key.high |= kStretchMark;
      if (memory_.recall(key, out)) return;
      const size_t before = out.size();
      model_.merge(stretch, scratch_, out);
      memory_.remember(key, before, out);
    });
  }

  const ByteBpe& model_;
  WordMemory<3> memory_;
  ByteBpe::Scratch scratch_;
};

}  // namespace

std::unique_ptr<TextEncoder> ByteBpe::encoder(const PreTokenizer& pre_tokenizer) const {
  return piece_loop(pre_tokenizer, BytePieces(*this));
}

}  // namespace lathe
