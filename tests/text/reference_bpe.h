// Byte-pair encoding as its definition reads, O(n^2): the executable specification.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe::testing {

// A model over the 256 bytes and the given merges, whose tokens have the ids 0..255 for the bytes
// and 256.. in merge order.
inline ByteBpe small_model(const std::vector<std::pair<std::string, std::string>>& merges,
                           const ByteBpeOptions& options = {}) {
  std::vector<VocabularyEntry> entries;
  std::map<std::string, int32_t> ids;
  const auto add = [&](const std::string& bytes) {
    const auto id = static_cast<int32_t>(ids.size());
    if (ids.emplace(bytes, id).second) entries.push_back({id, bytes, false});
  };
  for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
  std::vector<Merge> list;
  for (const auto& [left, right] : merges) {
    add(left + right);
    list.push_back({ids.at(left), ids.at(right), ids.at(left + right)});
  }
  return ByteBpe(Vocabulary(entries, "test"), list, options);
}

// The model of a tokenizer of this kind.
inline const ByteBpe& byte_bpe(const TokenizerData& data) {
  return dynamic_cast<const ByteBpe&>(*data.model);
}

inline std::vector<int32_t> reference_encode(const ByteBpe& model, std::string_view piece) {
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;  // of a pair listed twice the later counts
  for (size_t rank = 0; rank < model.merges().size(); ++rank)
    ranks[{model.merges()[rank].left, model.merges()[rank].right}] = rank;
  std::vector<int32_t> ids;
  for (char c : piece) ids.push_back(model.vocabulary().find({&c, 1}).value());
  for (;;) {
    size_t best = model.merges().size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found == ranks.end() || found->second >= best) continue;
      best = found->second;
      at = i;
    }
    if (best == model.merges().size()) return ids;
    ids[at] = model.merges()[best].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

}  // namespace lathe::testing
