// The segmentations of a text beside the one that encode() takes. Pre-tokens are segmented apart,
// so those of a text are the combinations of theirs.
#include <algorithm>
#include <queue>

#include "lathe/base/error.h"
#include "lathe/text/text_stretches.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using Segmentations = std::vector<Tokenizer::Segmentation>;

// Calls token(id) for added tokens and piece(text, index) for pre-tokens, in order.
template <class Token, class PieceOf>
void for_each_piece(const TokenizerData& data, std::string_view text, const EncodeOptions& options,
                    Token&& token, PieceOf&& piece) {
  TextStretches stretches;
  PreTokenizer::Scratch scratch;
  uint64_t index = 0;
  const auto put = [&](std::span<const int32_t> ids) {
    if (options.add_special_tokens) std::ranges::for_each(ids, token);
  };
  put(data.prefix);
  stretches.for_each(data, text, options.special_as_text, [&](const TextStretch& stretch) {
    if (stretch.id >= 0) return token(stretch.id);
    const std::string_view cut = data.pre_tokenizer.split(stretch.text, stretch.start, scratch);
    for (const Piece& p : scratch.pieces) piece(cut.substr(p.begin, p.end - p.begin), index++);
  });
  put(data.suffix);
}

// The n best that begin as one of `left` and end as one of `right`, both best first.
Segmentations combine(const Segmentations& left, const std::vector<TokenModel::Segmentation>& right,
                      int64_t n) {
  struct Pair {
    double score;
    size_t l, r;
    bool operator<(const Pair& o) const {
      if (score != o.score) return score < o.score;
      return l != o.l ? l > o.l : r > o.r;
    }
  };
  std::priority_queue<Pair> open;
  const auto offer = [&](size_t l, size_t r) {
    if (l < left.size() && r < right.size()) open.push({left[l].score + right[r].score, l, r});
  };
  offer(0, 0);
  Segmentations best;
  while (!open.empty() && static_cast<int64_t>(best.size()) < n) {
    const Pair p = open.top();
    open.pop();
    best.push_back(left[p.l]);
    best.back().score = p.score;
    best.back().ids.insert(best.back().ids.end(), right[p.r].ids.begin(), right[p.r].ids.end());
    offer(p.l, p.r + 1);
    if (p.r == 0) offer(p.l + 1, 0);  // every pair is reached in one way
  }
  return best;
}

// Cuts a lattice wherever no piece reaches over: from there on nothing depends on what was before.
void split_lattice(std::string_view text, std::vector<TokenModel::LatticePiece> pieces,
                   std::vector<Tokenizer::Lattice>& out) {
  size_t begin = 0, reach = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i == 0 || pieces[i].begin >= reach) {
      if (i > 0) out.back().text = text.substr(begin, reach - begin);
      begin = pieces[i].begin;
      out.emplace_back();
    }
    reach = std::max(reach, pieces[i].end);
    pieces[i].begin -= begin;
    pieces[i].end -= begin;
    out.back().pieces.push_back(pieces[i]);
  }
  if (!pieces.empty()) out.back().text = text.substr(begin);
}

}  // namespace

std::vector<Tokenizer::Lattice> Tokenizer::lattice(std::string_view text,
                                                   const EncodeOptions& options) const {
  std::vector<Lattice> lattices;
  for_each_piece(
      *data_, text, options, [](int32_t) {},
      [&](std::string_view piece, uint64_t) {
        split_lattice(piece, data_->model->lattice(piece), lattices);
      });
  return lattices;
}

Segmentations Tokenizer::nbest(std::string_view text, int64_t n,
                               const EncodeOptions& options) const {
  require(n >= 1, ErrorKind::kUsage, "tokenizer", "{} best segmentations, expected at least 1", n);
  Segmentations best(1);
  for_each_piece(
      *data_, text, options,
      [&](int32_t id) {
        for (Segmentation& s : best) s.ids.push_back(id);
      },
      [&](std::string_view piece, uint64_t) {
        best = combine(best, data_->model->nbest(piece, n), n);
      });
  return best;
}

std::vector<int32_t> Tokenizer::sample(std::string_view text, double alpha, const Rng& rng,
                                       const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  for_each_piece(
      *data_, text, options, [&](int32_t id) { ids.push_back(id); },
      [&](std::string_view piece, uint64_t index) {
        const std::vector<int32_t> some = data_->model->sample(piece, alpha, rng.fork(index));
        ids.insert(ids.end(), some.begin(), some.end());
      });
  return ids;
}

std::vector<int32_t> Tokenizer::encode_with_dropout(std::string_view text, double dropout,
                                                    const Rng& rng,
                                                    const EncodeOptions& options) const {
  require(dropout >= 0 && dropout <= 1, ErrorKind::kUsage, "tokenizer",
          "a dropout of {}, expected 0 to 1", dropout);
  std::vector<int32_t> ids;
  for_each_piece(
      *data_, text, options, [&](int32_t id) { ids.push_back(id); },
      [&](std::string_view piece, uint64_t index) {
        const std::vector<int32_t> some =
            data_->model->encode_with_dropout(piece, dropout, rng.fork(index));
        ids.insert(ids.end(), some.begin(), some.end());
      });
  return ids;
}

}  // namespace lathe
