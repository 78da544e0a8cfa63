// The loop over the pre-tokens of a text, compiled once for each model so that nothing stands
// between the scanner and the model. Internal to text/.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "lathe/base/utf8.h"
#include "lathe/text/model/token_model.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe {

// Tells how far an encoder is, about every kEvery bytes.
class EncodeMeter {
 public:
  static constexpr size_t kEvery = size_t{256} << 10;
  EncodeMeter(const TextEncoder::Progress& progress, const uint8_t* begin)
      : progress_(progress), told_(begin) {}
  // Everything before `at` is done.
  void reach(const uint8_t* at) {
    if (static_cast<size_t>(at - told_) < kEvery) return;
    done_ += static_cast<size_t>(at - told_);
    told_ = at;
    if (progress_) progress_(done_);
  }

 private:
  const TextEncoder::Progress& progress_;
  const uint8_t* told_;
  size_t done_ = 0;
};

// `Pieces` has what one thread keeps for a model, and
//   void encode(const uint8_t* p, const uint8_t* q, const uint8_t* limit, EncodeMeter& meter,
//               std::vector<int32_t>& out);
// which appends the ids of the pre-token [p, q) (bytes up to `limit` may be read) and, where the
// pre-token may be long, tells the meter how far it is.
template <class Pieces>
class PieceLoop : public TextEncoder {
 public:
  PieceLoop(const PreTokenizer& pre_tokenizer, Pieces pieces)
      : pre_tokenizer_(pre_tokenizer), pieces_(std::move(pieces)) {}

  void encode(std::string_view segment, size_t start, const Progress& progress,
              std::vector<int32_t>& out) override {
    if (const PieceScanner next = pre_tokenizer_.scanner()) {
      const uint8_t *p = as_bytes(segment), *end = p + segment.size();
      EncodeMeter meter(progress, p);
      while (p < end) {
        const uint8_t* stop = p + std::min(static_cast<size_t>(end - p), EncodeMeter::kEvery);
        while (p < stop) {
          const uint8_t* q = next(p, end);
          pieces_.encode(p, q, end, meter, out);
          p = q;
        }
        meter.reach(p);
      }
      return;
    }
    segment = pre_tokenizer_.split(segment, start, scratch_);
    const uint8_t *begin = as_bytes(segment), *end = begin + segment.size();
    EncodeMeter meter(progress, begin);
    for (const Piece& piece : scratch_.pieces) {
      pieces_.encode(begin + piece.begin, begin + piece.end, end, meter, out);
      meter.reach(begin + piece.end);
    }
  }

 private:
  const PreTokenizer& pre_tokenizer_;
  Pieces pieces_;
  PreTokenizer::Scratch scratch_;
};

template <class Pieces>
std::unique_ptr<TextEncoder> piece_loop(const PreTokenizer& pre_tokenizer, Pieces pieces) {
  return std::make_unique<PieceLoop<Pieces>>(pre_tokenizer, std::move(pieces));
}

}  // namespace lathe
