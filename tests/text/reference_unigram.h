// The Unigram model by definition: every candidate is looked up by its spelling, nothing is cut and
// nothing remembered.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/model/unigram_model.h"

namespace lathe::testing {

struct NamedPiece {
  std::string text;
  double score;
  UnigramPiece::Role role;
};
using UnigramPieces = std::vector<NamedPiece>;

// A piece "<unk>" is the unknown one.
inline UnigramModel unigram_model(const UnigramPieces& named, UnigramArithmetic arithmetic,
                                  bool byte_fallback = false) {
  std::vector<VocabularyEntry> entries;
  std::vector<UnigramPiece> pieces;
  UnigramOptions options{arithmetic, -1, byte_fallback};
  for (const NamedPiece& piece : named) {
    const auto id = static_cast<int32_t>(entries.size());
    if (piece.text == "<unk>") options.unknown_id = id;
    entries.push_back({id, piece.text, false});
    pieces.push_back({piece.score, piece.role});
  }
  return UnigramModel(Vocabulary(entries, "test"), pieces, options, "test");
}

// The id of a piece that may stand in a text, or -1.
inline int32_t matched_id(const UnigramModel& model, std::string_view text) {
  const auto id = model.vocabulary().find(text);
  if (!id || model.pieces()[*id].role == UnigramPiece::Role::kUnmatched) return -1;
  return *id;
}

template <class Real>
std::vector<int32_t> reference_unigram_as(const UnigramModel& model, std::string_view text) {
  struct Node {
    Real score = 0;
    int32_t id = -1;
    size_t start = std::string_view::npos;
  };
  std::vector<Node> nodes(text.size() + 1);
  const auto offer = [&](size_t start, size_t end, int32_t id, Real score) {
    const Real sum = nodes[start].score + score;
    if (nodes[end].start == std::string_view::npos || sum > nodes[end].score)
      nodes[end] = {sum, id, start};
  };
  const uint8_t* bytes = as_bytes(text);
  for (size_t start = 0; start < text.size();) {
    if (sizeof(Real) == 4 && std::abs(nodes[start].score) > 100000) {
      const Real score = nodes[start].score;
      for (size_t i = start; i < nodes.size(); ++i) nodes[i].score -= score;
    }
    const size_t size = decode_utf8(bytes + start, bytes + text.size()).size;
    for (size_t n = 1; n <= model.vocabulary().longest() && start + n <= text.size(); ++n)
      if (const int32_t id = matched_id(model, text.substr(start, n)); id >= 0)
        offer(start, start + n, id, model.scores<Real>()[id]);
    if (matched_id(model, text.substr(start, size)) < 0)
      offer(start, start + size, -1, static_cast<Real>(model.unknown_score()));
    start += size;
  }
  std::vector<std::pair<size_t, size_t>> pieces;
  for (size_t end = text.size(); end > 0; end = nodes[end].start)
    pieces.emplace_back(nodes[end].start, end);
  std::reverse(pieces.begin(), pieces.end());
  std::vector<int32_t> ids;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (nodes[pieces[i].second].id >= 0) {
      ids.push_back(nodes[pieces[i].second].id);
    } else if (i == 0 || nodes[pieces[i - 1].second].id >= 0) {
      ids.push_back(model.unknown_id());  // once for a run
    }
  }
  return ids;
}

// Without byte fallback.
inline std::vector<int32_t> reference_unigram(const UnigramModel& model, std::string_view text) {
  return model.options().arithmetic == UnigramArithmetic::kFloatThroughText
             ? reference_unigram_as<float>(model, text)
             : reference_unigram_as<double>(model, text);
}

// All ways to cut `text`, the best first, with their exact scores. Unknown pieces are not joined.
inline std::vector<TokenModel::Segmentation> all_segmentations(const UnigramModel& model,
                                                               std::string_view text) {
  if (text.empty()) return {{}};
  std::vector<TokenModel::Segmentation> all;
  const auto with_first = [&](size_t n, int32_t id, double score) {
    for (TokenModel::Segmentation s : all_segmentations(model, text.substr(n))) {
      s.ids.insert(s.ids.begin(), id);
      s.score += score;
      all.push_back(std::move(s));
    }
  };
  for (size_t n = 1; n <= text.size(); ++n)
    if (const int32_t id = matched_id(model, text.substr(0, n)); id >= 0)
      with_first(n, id, model.lattice_score(id));
  const size_t size = decode_utf8(as_bytes(text), as_bytes(text) + text.size()).size;
  if (matched_id(model, text.substr(0, size)) < 0)
    with_first(size, model.unknown_id(), model.unknown_score());
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  return all;
}

}  // namespace lathe::testing
